"""The command line: a verb, then options from its dataclasses and from the signatures of the game.

Help is generated from the same dataclasses and signatures that Python users see.  Heavy imports happen inside the
verbs, so `ganforge --help` answers at once.
"""

import difflib
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from ganforge.cli import (
    codes,
    evaluate,
    info,
    lab,
    rearrange,
    reproduce,
    sample,
    score,
    studio,
    study,
    sweep,
    train,
    translate,
    weights,
)
from ganforge.cli.options import IS_FIRST_PROCESS
from ganforge.console import LastingStream, lasting_output
from ganforge.errors import GANForgeError, ProcessError
from ganforge.version import __version__

VERBS: dict[str, Callable[[list[str]], int | None]] = {
    "train": train.train,
    "resume": train.resume,
    "sweep": sweep.sweep,
    "sample": sample.sample,
    "interpolate": sample.interpolate,
    "mix": sample.mix,
    "traverse": sample.traverse,
    "translate": translate.translate,
    "rearrange": rearrange.rearrange,
    "score": score.score,
    "invert": codes.invert,
    "directions": codes.directions,
    "edit": codes.edit,
    "evaluate": evaluate.evaluate,
    "compare": evaluate.compare,
    "reproduce": reproduce.reproduce,
    "import": weights.import_weights,
    "export": weights.export,
    "study": study.study,
    "studio": studio.studio,
    "data": info.data,
    "list": info.list_models,
    "show": info.show,
    "lab": lab.lab,
    "explain": info.explain,
    "env": info.env,
}
"""Every verb by its name, in the order of the help; a new one is a function in a file of this folder.

A verb returns its exit code, or None for 0: done.
"""

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
    """Run a command line; returns the exit code.

    0: done. 1: an error. 2: a wrong command line. 130: stopped by Ctrl-C; 143: by SIGTERM.  A reader of the output that
    goes away (`| head`) ends nothing.
    """
    with lasting_output():
        code = run_words(list(argv))
        if isinstance(sys.stdout, LastingStream):
            sys.stdout.flush()
            if sys.stdout.lost and not code:
                return print_error(f"The output cannot be written ({sys.stdout.lost}): it is not complete.", 1)
        return code


def run_words(words: list[str]) -> int:
    """Run a command line, with standard streams that last; returns the exit code."""
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
        return VERBS[words[0]](words[1:]) or 0
    except GANForgeError as error:
        if not IS_FIRST_PROCESS and not isinstance(error, ProcessError):
            time.sleep(2)  # where all processes fail alike, only the first prints: torchrun ends the others meanwhile
        return print_error(str(error), 1)
    except KeyboardInterrupt:
        return print_error("Stopped.", 130)
    except (MemoryError, RuntimeError, OSError) as error:
        if sentence := describe_error(error):
            return print_error(sentence, 1)
        raise


def describe_error(error: Exception) -> str:
    """The sentence for a lack of memory or an error of the file system; empty for other errors."""
    from ganforge.system import describe_shortage, is_memory_error

    if is_memory_error(error):
        return describe_shortage(str(error))
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename} cannot be used: {error.strerror}."
    return ""


def print_error(sentence: str, code: int) -> int:
    """Print an error message to stderr; returns the exit code."""
    print(f"ganforge: {sentence}", file=sys.stderr)
    return code


def first_docline(verb: Callable[..., Any]) -> str:
    """The first line of a verb's docstring."""
    return (verb.__doc__ or "").splitlines()[0].rstrip(".")
