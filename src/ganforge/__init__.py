"""GANForge: GANs of the literature, one file per paper, one engine for all.

    run = ganforge.train("dcgan", data="fashion-mnist", steps=5000)
    images = run.sample(64, seed=0)

Each command has a function of the same name: train, resume, sample, interpolate, mix, traverse, translate,
rearrange, invert, directions, edit, list, show, env; the command `data` is `examine`, `import` is `import_weights`;
`load` opens a run, `find` a model.
Heavy modules are imported when they are first used.
"""

from typing import TYPE_CHECKING, Any

from ganforge.version import __version__ as __version__

if TYPE_CHECKING:
    from ganforge.catalogue import find as find
    from ganforge.catalogue import list as list
    from ganforge.evaluation.compare import compare as compare
    from ganforge.evaluation.directions import directions as directions
    from ganforge.evaluation.edit import edit as edit
    from ganforge.evaluation.evaluate import evaluate as evaluate
    from ganforge.evaluation.invert import invert as invert
    from ganforge.evaluation.score import score as score
    from ganforge.explainer.explain import explain as explain
    from ganforge.human_study.pictures import study as study
    from ganforge.human_study.results import study_results as study_results
    from ganforge.inference.load import load as load
    from ganforge.inference.rearrange import rearrange as rearrange
    from ganforge.inference.sample import interpolate as interpolate
    from ganforge.inference.sample import mix as mix
    from ganforge.inference.sample import sample as sample
    from ganforge.inference.sample import traverse as traverse
    from ganforge.inference.show import show as show
    from ganforge.inference.trained import Trained as Trained
    from ganforge.inference.translate import translate as translate
    from ganforge.interop.exporting import export as export
    from ganforge.interop.importing import import_weights as import_weights
    from ganforge.reproduction.run import reproduce as reproduce
    from ganforge.system import env as env
    from ganforge.training.examine import examine as examine
    from ganforge.training.plan import plan as plan
    from ganforge.training.train import resume as resume
    from ganforge.training.train import train as train
    from ganforge.tuning.trials import sweep as sweep

__all__ = [
    "Trained",
    "compare",
    "directions",
    "edit",
    "env",
    "evaluate",
    "examine",
    "explain",
    "export",
    "find",
    "import_weights",
    "interpolate",
    "invert",
    "list",
    "load",
    "mix",
    "plan",
    "rearrange",
    "reproduce",
    "resume",
    "sample",
    "score",
    "show",
    "study",
    "study_results",
    "sweep",
    "train",
    "translate",
    "traverse",
]


HOMES: dict[str, str] = {
    "Trained": "ganforge.inference.trained",
    "compare": "ganforge.evaluation.compare",
    "directions": "ganforge.evaluation.directions",
    "edit": "ganforge.evaluation.edit",
    "env": "ganforge.system",
    "evaluate": "ganforge.evaluation.evaluate",
    "examine": "ganforge.training.examine",
    "explain": "ganforge.explainer.explain",
    "export": "ganforge.interop.exporting",
    "find": "ganforge.catalogue",
    "import_weights": "ganforge.interop.importing",
    "interpolate": "ganforge.inference.sample",
    "invert": "ganforge.evaluation.invert",
    "list": "ganforge.catalogue",
    "load": "ganforge.inference.load",
    "mix": "ganforge.inference.sample",
    "plan": "ganforge.training.plan",
    "reproduce": "ganforge.reproduction.run",
    "resume": "ganforge.training.train",
    "sample": "ganforge.inference.sample",
    "score": "ganforge.evaluation.score",
    "show": "ganforge.inference.show",
    "study": "ganforge.human_study.pictures",
    "study_results": "ganforge.human_study.results",
    "sweep": "ganforge.tuning.trials",
    "train": "ganforge.training.train",
    "rearrange": "ganforge.inference.rearrange",
    "translate": "ganforge.inference.translate",
    "traverse": "ganforge.inference.sample",
}
"""The module that each public name comes from."""


def __getattr__(name: str) -> Any:
    if name not in HOMES:
        raise AttributeError(f"module 'ganforge' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES[name]), name)


def __dir__() -> Any:
    return sorted([*globals(), *HOMES])
