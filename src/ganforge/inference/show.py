"""The plain facts of a model or a run."""

from typing import Any

from ganforge.capabilities import capabilities
from ganforge.catalogue import Model, find
from ganforge.game import parameters
from ganforge.inference.load import address, load, model_of
from ganforge.runs.folder import RunFolder
from ganforge.serialize import to_plain


def show(what: str) -> dict[str, Any]:
    """The plain facts of a model (by name or file) or of a run (by folder), as plain values."""
    path, _ = address(what)
    if (path / "config.yaml").is_file():
        folder = RunFolder.open(path)
        card, steps = folder.card, folder.checkpoints().steps()
        model = model_of(card)
        trained = {"parameters": parameters(load(what, device="cpu").game)} if steps else {}
        return {**to_plain(card), "checkpoints": steps, **trained, "can": questions(model)}
    model = find(what)
    return {
        "model": what,
        "about": model.about,
        "data": {"needs": [*model.game.batch_type.columns()]},
        "presets": {name: {"config": to_plain(p.config), "run": to_plain(p.run)} for name, p in model.presets.items()},
        "can": questions(model),
    }


def questions(model: Model) -> dict[str, dict[str, str]]:
    """{capability: {question: its default}} of a model."""
    return {verb: {q.name: str(q.default) for q in form} for verb, form in capabilities(model.game).items()}
