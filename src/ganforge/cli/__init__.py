"""The command line: a verb, then what its dataclass or the game's own signature asks for.

Help is generated from the same dataclasses and signatures that Python users see.  Heavy imports wait
until a verb needs them: `ganforge --help` answers at once.
"""

import difflib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ganforge.cli import evaluate, info, lab, reproduce, sample, study, sweep, train, translate, weights
from ganforge.cli.options import FIRST
from ganforge.errors import GANForgeError, ProcessError
from ganforge.version import __version__

VERBS: dict[str, Callable[[list[str]], None]] = {
    "train": train.train,
    "resume": train.resume,
    "sweep": sweep.sweep,
    "sample": sample.sample,
    "interpolate": sample.interpolate,
    "traverse": sample.traverse,
    "translate": translate.translate,
    "evaluate": evaluate.evaluate,
    "compare": evaluate.compare,
    "reproduce": reproduce.reproduce,
    "import": weights.import_weights,
    "export": weights.export,
    "study": study.study,
    "data": info.data,
    "list": info.list_models,
    "show": info.show,
    "lab": lab.lab,
    "explain": info.explain,
    "env": info.env,
}
"""Every verb by its name, in the order of the help; a new one is a function in a file of this room."""

OVERVIEW = """\
GANForge {version}: every GAN of the literature, on your own images, from one command.

usage: ganforge VERB ...          ganforge VERB --help explains a verb

{verbs}

first steps
  ganforge train dcgan                            on shapes that the program draws itself
  ganforge train dcgan --data path/to/photos      on your own folder or zip of images
  ganforge sample runs/00000-dcgan-shapes -n 64   new pictures from what it learned
"""


def run(argv: Sequence[str]) -> int:
    """Carry out a command line; returns the exit code: 0 done, 1 a problem, 2 a wrong command line."""
    words = list(argv)
    if not words or words[0] in ("-h", "--help", "help"):
        lines = (f"  {name:<12} {about(verb)}" for name, verb in VERBS.items())
        print(OVERVIEW.format(version=__version__, verbs="\n".join(lines)), end="")
        return 0
    if words[0] in ("--version", "-V", "version"):
        print(f"ganforge {__version__}")
        return 0
    if words[0] not in VERBS:
        near = difflib.get_close_matches(words[0], VERBS, 1, 0.5)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(VERBS)}."
        return complain(f"There is no verb {words[0]!r}. {hint}", 2)
    try:
        VERBS[words[0]](words[1:])
    except GANForgeError as error:
        if not FIRST and not isinstance(error, ProcessError):
            time.sleep(2)  # where all fail alike, the first speaks for them: torchrun ends the others meanwhile
        return complain(str(error), 1)
    except KeyboardInterrupt:
        return complain("Stopped.", 130)
    except BrokenPipeError:  # `ganforge list | head`
        sys.stdout = None
        return 0
    return 0


def complain(sentence: str, code: int) -> int:
    """Say what is wrong where errors belong."""
    print(f"ganforge: {sentence}", file=sys.stderr)
    return code


def about(verb: Callable[..., Any]) -> str:
    """The first line of a verb's docstring."""
    return (verb.__doc__ or "").splitlines()[0].rstrip(".")
