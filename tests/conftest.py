"""What every test needs: a home for GANForge's records that is not the person's own."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session", autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder in which trained model files are recorded; programs that a test starts inherit it."""
    before, path = os.environ.get("GANFORGE_HOME"), tmp_path_factory.mktemp("home")
    os.environ["GANFORGE_HOME"] = str(path)
    yield path
    del os.environ["GANFORGE_HOME"]
    if before is not None:
        os.environ["GANFORGE_HOME"] = before
