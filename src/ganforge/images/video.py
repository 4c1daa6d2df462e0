"""Videos frame by frame, through PyAV (pip install 'ganforge[video]').  Audio is not copied."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import DataError, RunError

ENDINGS = (".mp4", ".mov", ".mkv", ".avi", ".webm", ".m4v")


@dataclass(frozen=True)
class Video:
    """A video opened for reading."""

    rate: Fraction
    """Frames per second."""
    frames: Iterator[np.ndarray]
    """uint8 (H, W, 3) each, decoded on demand."""


def import_av() -> Any:
    """Import PyAV.  Raises DataError if it is not installed."""
    try:
        import av  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:
        raise DataError("Videos need PyAV: pip install 'ganforge[video]'.") from error
    return av


def is_supported() -> bool:
    """Whether PyAV is installed."""
    try:
        import_av()
    except DataError:
        return False
    return True


def read(path: Path) -> Video:
    """Open a video; its frames are decoded on demand.

    Raises:
        DataError: PyAV is not installed, or the video cannot be read; also raised while iterating over the frames.
    """
    items = decode_frames(path, import_av())
    return Video(next(items), items)  # pyright: ignore[reportArgumentType]


def decode_frames(path: Path, av: Any) -> Iterator[Any]:
    """Yield the frame rate, then the frames; any error becomes a DataError."""
    try:
        with av.open(str(path)) as file:
            stream = file.streams.video[0]
            yield Fraction(stream.average_rate or 25)
            for frame in file.decode(stream):
                yield frame.to_ndarray(format="rgb24")
    except Exception as error:  # a decoder fed with damaged bytes raises anything
        raise DataError(f"{path} cannot be read as a video: {getattr(error, 'strerror', None) or error}.") from error


def write(path: Path, frames: Iterator[np.ndarray], rate: Fraction) -> int:
    """Write frames uint8 (H, W, 3) of one size as H.264; returns their number.  The write is atomic.

    Raises:
        DataError: PyAV is not installed, or `frames` is empty.
        RunError: the file cannot be written.
    """
    av, count, draft = import_av(), 0, path.with_name(f".draft-{path.name}")
    first = next(frames, None)
    if first is None:
        raise DataError(f"{path}: a video needs at least one frame.")
    height, width = first.shape[:2]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(draft), "w") as file:
            stream = file.add_stream("libx264", rate=rate, options={"crf": "17"})
            # yuv420p (colour at half resolution) plays everywhere but needs even sides.
            even = height % 2 == width % 2 == 0
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p" if even else "yuv444p"
            for frame in chain([first], frames):
                file.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
                count += 1
            file.mux(stream.encode())
        draft.replace(path)
    except OSError as error:
        raise RunError(f"{path} cannot be written: {error.strerror or error}.") from error
    finally:
        draft.unlink(missing_ok=True)
    return count
