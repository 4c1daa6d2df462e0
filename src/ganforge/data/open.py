"""From what a person writes after --data to a data set: a named one, or a path."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from ganforge.data.assemble import Found, Labels, assemble
from ganforge.data.dataset import DataSet
from ganforge.data.decode import Picture, Wanted
from ganforge.data.folders import find
from ganforge.data.home import data_home
from ganforge.errors import DataError
from ganforge.images import look_at

HUB = "hub:"


@dataclass(frozen=True)
class Asked:
    """What was asked for, whatever the data set."""

    size: tuple[int, int] | None
    channels: int
    crop: bool
    seed: int
    home: Path | None
    held_out: bool


def open_data(
    spec: str,
    *,
    size: tuple[int, int] | None,
    channels: int = 0,
    crop: bool = False,
    seed: int = 0,
    home: Path | None = None,
    held_out: bool = False,
) -> DataSet:
    """The data set called `spec`: a name of NAMED, a name under the data home, a path, or hub:owner/name.

    `size` is height and width, None: as the data has it; `channels` 0 likewise; `crop` stores a margin
    for random windows; `seed` draws the embedded world; `held_out` asks for what training never sees.

    Raises:
        DataError: there is no such data set, or it cannot be read.
    """
    if spec in NAMED:
        return NAMED[spec](Asked(size, channels, crop, seed, home, held_out))
    return assemble(find_data(spec, home=home, held_out=held_out), Wanted(size, channels, crop))


def find_data(spec: str, *, home: Path | None = None, held_out: bool = False) -> Found:
    """The pictures of the data set called `spec`, before any is decoded.

    Raises:
        DataError: there is no such data set.
    """
    if spec in NAMED:
        return _drawn(NAMED[spec](Asked(None, 0, False, 0, home, held_out)))
    if spec.startswith(HUB):
        from ganforge.data.hub import in_hub

        return in_hub(spec.removeprefix(HUB), held_out)
    at_home = data_home(home) / spec
    path = next((p for p in (Path(spec).expanduser(), at_home) if spec and p.exists()), None)
    if path is None:
        near = difflib.get_close_matches(spec, NAMED, 1)
        meant = f" Did you mean {near[0]}?" if near else ""
        raise DataError(
            f"There is no data called {spec!r}: no such path, here or in {data_home(home)}, "
            f"and the named sets are {', '.join(NAMED)}; hub:owner/name is one of the Hugging Face Hub.{meant}"
        )
    return find(path, held_out)


def _drawn(data: DataSet) -> Found:
    """A named set as though its pictures lay in files."""

    def picture(k: int) -> Picture:
        return Picture(f"picture {k}", lambda: look_at(data.columns["images"][k]), lambda: data.columns["images"][k])

    labels = Labels(data.columns.get("condition"), data.facts.labels, data.facts.attributes)
    pictures = [picture(k) for k in range(len(data))]
    return Found(data.name, "a named set", data.fingerprint, pictures, labels, data.notes)


def _shapes(variant: str) -> Callable[[Asked], DataSet]:
    def opener(asked: Asked) -> DataSet:
        from ganforge.data.shapes import open_shapes

        size, channels = asked.size or (32, 32), asked.channels or 3
        return open_shapes(variant, size=size, channels=channels, seed=asked.seed, held_out=asked.held_out)

    return opener


def _fashion_mnist(asked: Asked) -> DataSet:
    from ganforge.data.fashion_mnist import open_fashion_mnist

    return open_fashion_mnist(asked.home, size=asked.size, channels=asked.channels, held_out=asked.held_out)


NAMED: dict[str, Callable[[Asked], DataSet]] = {
    "shapes": _shapes("shapes"),
    "shapes-scenes": _shapes("shapes-scenes"),
    "shapes-digits": _shapes("shapes-digits"),
    "shapes-defects": _shapes("shapes-defects"),
    "fashion-mnist": _fashion_mnist,
}
