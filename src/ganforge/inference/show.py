"""Describe a model or a run."""

from typing import Any

from ganforge.capabilities import capabilities
from ganforge.catalogue import Model, find
from ganforge.game import parameters
from ganforge.inference.load import RunLike, config_of, load, model_of, parse_run_address
from ganforge.runs.folder import RunFolder, is_run
from ganforge.serialize import to_plain


def show(what: RunLike, *, trust: bool = False, accept_config: bool = False) -> dict[str, Any]:
    """Describe a model (name or file) or a run (folder) as plain values: settings, data, presets, capabilities.

    `trust` runs the code of a run's model that was not trained here; `accept_config` takes a config.yaml that was
    edited by hand, and writes its checksum anew.
    """
    path, _ = parse_run_address(what)
    if accept_config:
        RunFolder.open(path).accept_config()
    if is_run(path):
        folder = RunFolder.open(path)
        run_config, steps = folder.run_config, folder.checkpoints().steps()
        model = model_of(run_config, trust)
        config = config_of(path, run_config, model)
        trained = {"parameters": parameters(load(what, device="cpu", trust=trust).game)} if steps else {}
        return {**to_plain(run_config), "checkpoints": steps, **trained, "can": describe_capabilities(model, config)}
    model = find(str(what))
    return {
        "model": str(what),
        "about": model.about,
        "data": {"needs": [*model.game.batch_type.columns()]},
        "presets": {name: {"config": to_plain(p.config), "run": to_plain(p.run)} for name, p in model.presets.items()},
        "can": describe_capabilities(model),
    }


def describe_capabilities(model: Model, config: Any = None) -> dict[str, dict[str, str]]:
    """{capability: {option: its default}} of a model, or of its games of a Config."""
    can = capabilities(model.game, config)
    return {verb: {q.name: str(q.default) for q in questions} for verb, questions in can.items()}
