"""Where data lies: the home of named sets, and the cache of decoded ones."""

import os
import sys
from pathlib import Path


def data_home(home: Path | None = None) -> Path:
    """Where named sets are looked for and downloaded to: `home`, else GANFORGE_DATA, else a folder of the cache."""
    named = home or os.environ.get("GANFORGE_DATA")
    return Path(named).expanduser() if named else cache_home() / "data"


def cache_home() -> Path:
    """Where decoded pictures are kept: GANFORGE_CACHE, else the place this platform has for caches."""
    if named := os.environ.get("GANFORGE_CACHE"):
        return Path(named).expanduser()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", "~/AppData/Local")).expanduser() / "ganforge"
    if sys.platform == "darwin":
        return Path("~/Library/Caches/ganforge").expanduser()
    return Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache").expanduser() / "ganforge"
