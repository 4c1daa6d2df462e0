"""Labels that are wrong for a mirrored image."""

import re
from collections.abc import Iterable

SIDES = re.compile(r"(?i)(?<![a-z])(left|right)(?![a-z])|왼쪽|오른쪽|좌측|우측")


def find_side(names: Iterable[str]) -> str:
    """The first name that names left or right; empty where none does."""
    return next((name for name in names if SIDES.search(name.replace("_", " "))), "")
