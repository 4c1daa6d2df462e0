"""The command line: a verb, then options from its dataclasses and from the signatures of the game.

Help is generated from the same dataclasses and signatures that Python users see.  Heavy imports happen inside the
verbs, so `ganforge --help` answers at once.
"""

import difflib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ganforge.cli import evaluate, info, lab, reproduce, sample, study, sweep, train, translate, weights
from ganforge.cli.options import IS_FIRST_PROCESS
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
"""Every verb by its name, in the order of the help; a new one is a function in a file of this folder."""

OVERVIEW = """\
GANForge {version}: every GAN of the literature, on your own images, from one command.

usage: ganforge VERB ...          ganforge VERB --help explains a verb

{verbs}

first steps
  ganforge train dcgan                            on embedded shapes, without a download
  ganforge train dcgan --data path/to/photos      on your own folder or zip of images
  ganforge sample runs/00000-dcgan-shapes -n 64   generate 64 images
"""


def run(argv: Sequence[str]) -> int:
    """Run a command line; returns the exit code: 0 done, 1 an error, 2 a wrong command line."""
    words = list(argv)
    if not words or words[0] in ("-h", "--help", "help"):
        lines = (f"  {name:<12} {first_docline(verb)}" for name, verb in VERBS.items())
        print(OVERVIEW.format(version=__version__, verbs="\n".join(lines)), end="")
        return 0
    if words[0] in ("--version", "-V", "version"):
        print(f"ganforge {__version__}")
        return 0
    if words[0] not in VERBS:
        near = difflib.get_close_matches(words[0], VERBS, 1, 0.5)
        hint = f"Did you mean {near[0]}?" if near else f"There are {', '.join(VERBS)}."
        return print_error(f"There is no verb {words[0]!r}. {hint}", 2)
    try:
        VERBS[words[0]](words[1:])
    except GANForgeError as error:
        if not IS_FIRST_PROCESS and not isinstance(error, ProcessError):
            time.sleep(2)  # where all processes fail alike, only the first prints: torchrun ends the others meanwhile
        return print_error(str(error), 1)
    except KeyboardInterrupt:
        return print_error("Stopped.", 130)
    except BrokenPipeError:  # `ganforge list | head`
        sys.stdout = None
        return 0
    return 0


def print_error(sentence: str, code: int) -> int:
    """Print an error message to stderr; returns the exit code."""
    print(f"ganforge: {sentence}", file=sys.stderr)
    return code


def first_docline(verb: Callable[..., Any]) -> str:
    """The first line of a verb's docstring."""
    return (verb.__doc__ or "").splitlines()[0].rstrip(".")
