"""Every kind of case by its name."""

from tests.fuzz import archives, arguments, arrays, checkpoints, folders, imports, lists, places, runs, sides, studies
from tests.fuzz.case import Kind

KINDS: dict[str, Kind] = {
    **folders.KINDS,
    **lists.KINDS,
    **sides.KINDS,
    **places.KINDS,
    **arrays.KINDS,
    **archives.KINDS,
    **runs.KINDS,
    **checkpoints.KINDS,
    **imports.KINDS,
    **studies.KINDS,
    **arguments.KINDS,
}
