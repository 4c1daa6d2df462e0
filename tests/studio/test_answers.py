"""What the pages answer, asked as functions: without a browser."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.errors import OptionError

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'ganforge[studio]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


@pytest.fixture
def context(tiny_runs: Path, tmp_path: Path) -> Any:
    from ganforge.studio.context import Context
    from ganforge.studio.keeper import Keeper
    from ganforge.studio.library import Library
    from ganforge.studio.trainings import Trainings

    library, uploads = Library([tiny_runs]), tmp_path / "uploads"
    uploads.mkdir()
    return Context(library, Keeper(library, 10**9, "cpu"), Trainings(library), uploads)


def upload(context: Any, count: int) -> list[str]:
    """Noise images that a visitor has dropped."""
    chance, paths = np.random.default_rng(0), [context.uploads / f"{k}.png" for k in range(count)]
    for path in paths:
        Image.fromarray(chance.integers(0, 256, (16, 16, 3), np.uint8)).save(path)
    return [*map(str, paths)]


def test_all_images_are_scored_or_none(context: Any):
    from ganforge.studio.pages.score import MOST, score

    paths, run = upload(context, MOST + 1), context.library.path("00003-autoencoder")
    answer, typed = score(context, "00003-autoencoder", paths[:1], 0)
    assert len(answer["images"]) == 1
    assert typed == f"ganforge score {run} 0.png results --seed 0"
    answer, typed = score(context, "00003-autoencoder", paths[:MOST], 0)
    assert len(answer["images"]) == MOST
    assert typed == f"ganforge score {run} images results --seed 0"
    with pytest.raises(OptionError, match="25 files: give at most 24"):
        score(context, "00003-autoencoder", paths, 0)


def test_a_zip_beside_other_files_is_refused(context: Any):
    from ganforge.studio.pages.translate import gather

    (image,) = map(Path, upload(context, 1))
    packed = context.uploads / "more.zip"
    assert gather([packed], context.uploads / "alone") == packed
    assert [path.name for path in gather([image], context.uploads / "images").iterdir()] == ["0.png"]
    with pytest.raises(OptionError, match=r"more\.zip is a zip beside other files"):
        gather([image, packed], context.uploads / "both")


def test_the_presets_are_those_of_the_model(tmp_path: Path):
    from ganforge.catalogue import find
    from ganforge.studio.pages.home import choose_preset

    menu = choose_preset("gigagan")
    assert [name for name, _ in menu.choices] == [*find("gigagan").presets]
    assert menu.value == "small"
    (tmp_path / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(OptionError, match="catalogue"):
        choose_preset(str(tmp_path / "mine.py"))
    assert not (tmp_path / "ran").exists()
