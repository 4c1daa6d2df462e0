"""docs/adding-a-model.md, done as it says."""

import re
from pathlib import Path

import pytest

import ganforge

PAGE = Path(__file__).parents[1] / "docs" / "adding-a-model.md"


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    code = re.search(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert code
    path = tmp_path / "mine.py"
    path.write_text(code[1])
    return path


def test_the_walks_file_is_short(mine):
    assert len([line for line in mine.read_text().splitlines() if line.strip()]) < 80


def test_a_file_of_ones_own_trains_samples_and_loads(mine, tmp_path):
    run = ganforge.train(
        str(mine), steps=3, batch=8, size=(16,), outdir=tmp_path / "runs", quiet=True, config={"width": 4}
    )
    assert run.path.name == "00000-mine-shapes"
    assert run.sample(3).shape == (3, 3, 16, 16)
    again = ganforge.load(run.path)
    assert (again.sample(3) == run.sample(3)).all()


def test_a_run_whose_file_changed_says_so(mine, tmp_path):
    run = ganforge.train(str(mine), steps=1, batch=8, size=(16,), outdir=tmp_path, quiet=True, config={"width": 4})
    mine.write_text(mine.read_text() + "\n")
    with pytest.raises(ganforge.errors.ModelError, match=r"mine.py has changed since"):
        ganforge.load(run.path)
    mine.unlink()
    with pytest.raises(ganforge.errors.ModelError, match=r"does not exist any more"):
        ganforge.load(run.path)
