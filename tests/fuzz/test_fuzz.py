"""The fuzzer: a quick part with fixed seeds, and 2,000 cases where the quality of the whole is tested.

GANFORGE_FUZZ=FIRST-LAST names other seeds for the long part; they are those of every kind.
"""

import os
from collections.abc import Iterator, Sequence

import pytest

from tests.fuzz.kinds import KINDS
from tests.fuzz.pool import Pool, told

QUICK = {"lists": 10, "zips": 8, "arrays": 8, "run-config": 8, "run-tensors": 8, "pairs": 7, "splits": 7, "study": 2}
"""How many cases of a kind are played each time, of others OTHERS."""
OTHERS, LONG = 5, 2_000


@pytest.fixture(scope="session")
def pool() -> Iterator[Pool]:
    with Pool() as started:
        yield started


def failures(pool: Pool, kind: str, seeds: Sequence[int]) -> str:
    """Everything that fails, each case with the command that plays it again."""
    found = (pool.verdict(kind, seed) for seed in seeds)
    bad = [told(verdict) for verdict in found if verdict["faults"]]
    return f"{len(bad)} of {len(seeds)} cases fail.\n\n" + "\n\n".join(bad) if bad else ""


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_odd_is_taken_rightly_or_refused_in_a_sentence(pool: Pool, kind: str):
    said = failures(pool, kind, range(QUICK.get(kind, OTHERS)))
    assert not said, said


@pytest.mark.quality
@pytest.mark.parametrize("kind", KINDS)
def test_many_cases(pool: Pool, kind: str):
    first, _, last = os.environ.get("GANFORGE_FUZZ", f"1000-{1000 + LONG // len(KINDS)}").partition("-")
    said = failures(pool, kind, range(int(first), int(last or first) + 1))
    assert not said, said
