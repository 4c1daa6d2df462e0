"""A disk without room during training: pictures and rows of the log can wait, the run goes on."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ganforge.console import note
from ganforge.errors import CheckpointError, RunError
from ganforge.files import reason

NO_ROOM = {
    code
    for name in ("ENOSPC", "EDQUOT", "EFBIG", "EIO", "EROFS", "ESTALE", "ENODEV")
    if (code := getattr(errno, name, None)) is not None
}


def lacks_room(error: BaseException | None) -> bool:
    """Whether an error, or one that it comes from, says that a disk is full or has gone."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            return True
        error = error.__cause__
    return False


@contextmanager
def go_on_without_room() -> Iterator[None]:
    """Turn the lack of room inside the block into a note; not for a checkpoint, which cannot wait."""
    try:
        yield
    except (OSError, RunError) as error:
        if isinstance(error, CheckpointError) or not lacks_room(error):
            raise
        note(f"{reason(error).rstrip('.')}.  The run goes on without it.")
