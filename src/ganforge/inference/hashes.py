"""The SHA-256 of what a run's answers follow from."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.files import sha256
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain
from ganforge.text.encoders import hash_encoder, is_encoder


def hash_part(path: Path, step: int) -> str:
    """SHA-256 of what a part's answers follow from, of a run or of a pretrained encoder."""
    return hash_encoder(path) if is_encoder(str(path)) else hash_run(path, step)


def hash_run(path: Path, step: int) -> str:
    """SHA-256 of what a run's answers follow from: its model, settings, facts, weights and parts."""
    config, checkpoint = RunFolder.open(path).run_config, path / "checkpoints" / f"step-{step:09d}"
    weights = [sha256(file) for name in ("game", "averaged") if (file := checkpoint / f"{name}.safetensors").is_file()]
    nested = []
    for name, record in sorted(config.parts.items()):
        inner = path / "parts" / name
        nested.append(record["sha256"] if is_linked(record) else hash_part(inner, last_step(inner)))
    about = [config.model, config.source, config.config, config.facts, weights, nested]
    return hashlib.sha256(json.dumps(to_plain(about), sort_keys=True).encode()).hexdigest()


def last_step(path: Path) -> int:
    """The last step of a run folder; 0 for a pretrained encoder."""
    return 0 if is_encoder(str(path)) else RunFolder(path).checkpoints().find()


def is_linked(record: Any) -> bool:
    """Whether a part's record in config.yaml is that of a linked part."""
    return isinstance(record, Mapping)
