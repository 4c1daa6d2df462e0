"""The quick contest, as a person starts it: processes share the work, and the penalised game finds the ring."""

from pathlib import Path

import pytest

from ganforge import lab

pytestmark = pytest.mark.quality


def test_the_quick_contest(tmp_path: Path):
    found = lab.modes(tmp_path, quick=True, workers=2, quiet=True)
    assert [r.objective for r in found.results] == list(lab.QUICK)
    by_name = {r.objective: r.seeds[0] for r in found.results}
    assert by_name["r1"].modes == 8
    assert (tmp_path / "modes.png").is_file()
