"""Change a file of a run folder that ends in its own checksum, as GANForge itself would."""

import json
from pathlib import Path
from typing import Any

import yaml

from ganforge.files import sha256
from ganforge.runs.folder import RunFolder
from ganforge.runs.reading import dump_sealed_json


def write_sums(checkpoint: Path) -> None:
    """Write the hashes of a checkpoint's changed files into its state.json."""
    path = checkpoint / "state.json"
    state = json.loads(path.read_text())
    del state["seal"]
    state["sha256"] = {name: sha256(checkpoint / name) for name in state["sha256"]}
    path.write_text(dump_sealed_json(state))


def write_config(run: Path, config: dict[str, Any]) -> None:
    """Replace a run's config.yaml."""
    (run / "config.yaml").write_text(yaml.safe_dump(config))
    RunFolder.open(run).accept_config()
