"""Folders of the data: the home of named data sets, and the cache of decoded images."""

import os
from pathlib import Path

import platformdirs


def data_home(home: Path | None = None) -> Path:
    """The folder where named sets are searched and downloaded to: `home`, else GANFORGE_DATA, else one in the cache."""
    named = home or os.environ.get("GANFORGE_DATA")
    return Path(named).expanduser() if named else cache_home() / "data"


def cache_home() -> Path:
    """The folder of cached images and features: GANFORGE_CACHE, else the cache folder of this platform."""
    if named := os.environ.get("GANFORGE_CACHE"):
        return Path(named).expanduser()
    return platformdirs.user_cache_path("ganforge", appauthor=False, opinion=False)
