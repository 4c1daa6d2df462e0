"""Accepted data is read back and compared with what was written."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

import ganforge
from tests.fuzz.case import Case, Reading, Table


def complaints(case: Case, reads: Reading, said: str, refused: bool) -> list[str]:
    """What is wrong about data that was accepted, or refused."""
    return [f"read back: {fault}" for fault in found_wrong(case, reads, said, refused)]


def found_wrong(case: Case, reads: Reading, said: str, refused: bool) -> list[str]:
    """What is wrong about data that was accepted, or refused: against what was written, and against `train`."""
    found: dict[str, Any] = {}
    if not refused:
        try:
            found = json.loads(said)
        except ValueError:
            return ["--json did not print JSON alone"]
    fits = next((one["fits"] for one in found.get("models", ()) if one["model"] == reads.model), False)
    try:
        plan = ganforge.plan(reads.model, case.data, "tiny", load=ganforge.load, size=reads.size)
    except Exception as error:
        if not any(kind.__name__ == "GANForgeError" for kind in type(error).__mro__):
            raise
        why = str(error)[:200]
        first = [f"`data` says that {reads.model} can train on it, `train` refuses: {why}"] if fits else []
        must = [f"`train {reads.model}` refuses what must be accepted: {why}"] if case.must == "accept" else []
        told = f"{why} {said}"
        if not must and reads.mention and not any(word in told for word in reads.mention):
            first.append(f"neither of {' and '.join(reads.mention)} is named where {reads.model} refuses: {why[:120]}")
        return (must or first) + ([] if refused else counted(found, reads))
    if refused:
        return [f"`data` refuses what `train {reads.model}` takes"]
    wrong = [] if fits else [f"`data` says that {reads.model} cannot train on it, and `train` does"]
    wrong += counted(found, reads)
    told = " ".join([*plan.data.notes, *found["notes"], *found["problems"], *found["corrupt"]]).lower()
    for table in reads.tables:
        wrong += compared(table, read(plan.data, table), reads, told)
    if reads.held:
        held = plan.held_out()
        for table in reads.held:
            wrong += [f"held out: {fault}" for fault in compared(table, read(held, table), reads, told)]
    seen = [row for column in ("images", "source", "target", "a", "b") for row in pixels_of(plan.data, column)]
    for picture in reads.never:
        if any(same(picture, other, reads.tolerance) for other in seen):
            return [*wrong, "a test picture is trained on"]
    return wrong


def counted(found: dict[str, Any], reads: Reading) -> list[str]:
    """Whether the doctor counts what was written."""
    told = " ".join([*found["notes"], *found["problems"]]).lower()
    if reads.images is None or found["images"] == reads.images or any(word in told for word in reads.hint):
        return []
    return [f"`data` counts {found['images']} images, and {reads.images} were written"]


def read(data: Any, table: Table) -> list[tuple[Any, ...]]:
    """The rows of some columns, as the values of a Table; nothing where a column is missing."""
    if any(column not in data.columns for column in table.columns):
        return []
    columns = [values(data, column) for column in table.columns]
    return list(zip(*columns, strict=False))


def values(data: Any, column: str) -> list[Any]:
    """One column: pixels, sets of masks, or labels with what names them."""
    stored = data.columns[column]
    if column == "condition":
        if stored.ndim == 1:
            return [data.facts.labels[k] for k in stored.tolist()]
        return [dict(zip(data.facts.attributes, row, strict=True)) for row in stored.tolist()]
    if column.endswith("_masks"):
        return [frozenset(m.tobytes() for m in np.moveaxis(row >= 128, 2, 0) if m.any()) for row in stored]
    return list(stored)


def pixels_of(data: Any, column: str) -> list[np.ndarray]:
    """The pictures of a column, where there is one."""
    return list(data.columns[column]) if column in data.columns else []


def compared(table: Table, rows: Sequence[tuple[Any, ...]], reads: Reading, told: str) -> list[str]:
    """What differs between the rows that were written and those that were read, in whatever order."""
    name = " and ".join(table.columns)
    if not rows and table.rows:
        return [f"there is no {name}"]
    if len(rows) != len(table.rows) and not any(word in told for word in reads.hint):
        return [f"{len(rows)} rows of {name} are read, and {len(table.rows)} were written"]
    left = list(rows)
    for row in table.rows:
        near = [other for other in left if same(row[0], other[0], reads.tolerance)]
        if not near:
            if reads.hint and any(word in told for word in reads.hint):
                continue
            return [f"a picture of {name} has other pixels: {row[0].shape} {row[0].dtype}, read {left[0][0].dtype}"]
        match = next((other for other in near if all(map(alike(reads.tolerance), row[1:], other[1:]))), None)
        if match is None:
            shown = [(shortened(mine), shortened(theirs)) for mine, theirs in zip(row[1:], near[0][1:], strict=True)]
            return [f"{name}: a picture has (written, read) {shown}"]
        left = [other for other in left if other is not match]
    return []


def alike(tolerance: float) -> Any:
    """Whether a value is what was written."""

    def agree(mine: Any, theirs: Any) -> bool:
        if isinstance(mine, np.ndarray):
            return same(mine, theirs, tolerance)
        if isinstance(mine, tuple):
            return (
                isinstance(theirs, dict) and np.allclose(mine, list(theirs.values()))
                if len(mine) == len(theirs)
                else False
            )
        if isinstance(mine, frozenset) and isinstance(theirs, dict):
            return mine == {name for name, value in theirs.items() if value == 1}
        return mine == theirs

    return agree


def same(mine: np.ndarray, theirs: np.ndarray, tolerance: float) -> bool:
    """Whether two pictures have the same pixels; one may have its grey three times."""
    if mine.shape[:2] != theirs.shape[:2]:
        return False
    if mine.dtype == np.uint8 and theirs.dtype == np.uint16:
        mine = mine.astype(np.uint16) * 257
    if mine.shape[2] not in (1, theirs.shape[2]):
        return False
    return bool((np.abs(mine.astype(np.float64) - theirs.astype(np.float64)) <= tolerance).all())


def shortened(value: Any) -> str:
    """A value in a few words."""
    if isinstance(value, np.ndarray):
        return f"pixels {value.shape}, the first {value.flat[0]}"
    if isinstance(value, frozenset) and any(isinstance(one, bytes) for one in value):
        return f"{len(value)} masks"
    return repr(value)[:80]
