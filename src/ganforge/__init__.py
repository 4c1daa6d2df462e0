"""GANForge: every GAN of the literature, one paper one file, one engine for all.

    run = ganforge.train("dcgan", data="fashion-mnist", steps=5000)
    images = run.sample(64, seed=0)

Every command is one function of the same name: train, resume, sample, interpolate, traverse, translate, list, show,
env; the verb `data` is `examine`, `import` is `import_weights`; `load` opens a run, `find` a model.  Nothing heavy is
imported before it is used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganforge.api import Trained as Trained
    from ganforge.api import env as env
    from ganforge.api import examine as examine
    from ganforge.api import find as find
    from ganforge.api import interpolate as interpolate
    from ganforge.api import list as list
    from ganforge.api import load as load
    from ganforge.api import plan as plan
    from ganforge.api import resume as resume
    from ganforge.api import sample as sample
    from ganforge.api import show as show
    from ganforge.api import train as train
    from ganforge.api import traverse as traverse
    from ganforge.exchange import import_weights as import_weights
    from ganforge.exporting import export as export
    from ganforge.judging.compare import compare as compare
    from ganforge.judging.evaluate import evaluate as evaluate
    from ganforge.lesson.explain import explain as explain
    from ganforge.perception.pictures import study as study
    from ganforge.perception.results import study_results as study_results
    from ganforge.reproduction.play import reproduce as reproduce
    from ganforge.search.trials import sweep as sweep
    from ganforge.translating import translate as translate

__all__ = [
    "Trained",
    "compare",
    "env",
    "evaluate",
    "examine",
    "explain",
    "export",
    "find",
    "import_weights",
    "interpolate",
    "list",
    "load",
    "plan",
    "reproduce",
    "resume",
    "sample",
    "show",
    "study",
    "study_results",
    "sweep",
    "train",
    "translate",
    "traverse",
]


HOMES: dict[str, str] = {
    "compare": "ganforge.judging.compare",
    "evaluate": "ganforge.judging.evaluate",
    "export": "ganforge.exporting",
    "import_weights": "ganforge.exchange",
    "explain": "ganforge.lesson.explain",
    "reproduce": "ganforge.reproduction.play",
    "study": "ganforge.perception.pictures",
    "study_results": "ganforge.perception.results",
    "sweep": "ganforge.search.trials",
    "translate": "ganforge.translating",
}
"""The module that a name comes from, where it is not the api."""


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'ganforge' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(HOMES.get(name, "ganforge.api")), name)


def __dir__() -> Any:
    return sorted([*globals(), *__all__])
