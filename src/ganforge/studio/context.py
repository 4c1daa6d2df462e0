"""What all pages of the studio share: the runs, the loaded ones, the words, and how an answer fails."""

import functools
import html
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr

from ganforge import system
from ganforge.errors import GANForgeError
from ganforge.studio.keeper import BusyError, Keeper
from ganforge.studio.library import Library
from ganforge.studio.strings import LANGUAGES, of_language, sentence
from ganforge.studio.trainings import Trainings

ASSETS = Path(__file__).with_name("assets")
WORDS = gr.I18n(**{language: of_language(language) for language in LANGUAGES})
LIVE: dict[str, Any] = {"show_progress": "hidden", "trigger_mode": "always_last", "api_visibility": "private"}
"""Options of events that follow a moving slider: of values that come while an answer is awaited, the last is asked."""
ONCE: dict[str, Any] = {"show_progress": "minimal", "trigger_mode": "once", "api_visibility": "private"}
"""Options of events of a button."""


@dataclass(frozen=True)
class Context:
    """What a page is built from."""

    library: Library
    keeper: Keeper
    trainings: Trainings
    uploads: Path
    """The folder into which browsers' files are written."""


def widget(script: str, value: Any = None, **props: Any) -> gr.HTML:
    """A component of our own: a script of assets/ that draws into an empty element, and a value of plain JSON.

    A script reads `props`, sets `props.value` and calls `trigger("input")`.
    """
    words = {language: of_language(language) for language in LANGUAGES}
    code = "".join((ASSETS / f"{name}.js").read_text(encoding="utf-8") for name in ("words", script))
    element = "<div class='studio-widget'></div>"
    return gr.HTML(value, html_template=element, js_on_load=code, words=words, **props)


def word(key: str) -> Any:
    """The text of a key, which the browser shows in its own language."""
    sentence(key)
    return WORDS(key)


def answering(function: Callable[..., Any]) -> Callable[..., Any]:
    """Turn errors that a person can mend into a message of the page."""

    @functools.wraps(function)
    def answer(*given: Any, **named: Any) -> Any:
        try:
            return function(*given, **named)
        except BusyError as error:
            raise gr.Error(sentence("busy"), print_exception=False) from error
        except GANForgeError as error:
            raise gr.Error(html.escape(str(error)), print_exception=False) from error
        except (MemoryError, RuntimeError) as error:
            if not system.is_memory_error(error):
                raise
            raise gr.Error(html.escape(system.describe_shortage(str(error))), print_exception=False) from error

    return answer


def command(*words: object) -> str:
    """A command of GANForge as it is typed where the studio was started; paths below that folder are relative."""
    return shlex.join(["ganforge", *(shorten(word) if isinstance(word, Path) else str(word) for word in words)])


def shorten(path: Path) -> str:
    """A path, relative where it lies in the working folder."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def options_of(answers: dict[str, Any]) -> list[str]:
    """Answers to a game's questions as options of the command."""
    words = []
    for name, value in answers.items():
        flag = name.replace("_", "-")
        if isinstance(value, bool):
            words.append(f"--{flag}" if value else f"--no-{flag}")
        elif value is not None:
            words += [f"--{flag}", str(value)]
    return words


def command_box() -> gr.Textbox:
    """The field that shows the command of a result, with a button that copies it."""
    return gr.Textbox(
        label=word("command"), buttons=["copy"], interactive=False, lines=1, max_lines=4, elem_classes="studio-command"
    )


def choose_run(keys: Sequence[str], label: str = "run") -> gr.Dropdown:
    """The menu of runs."""
    return gr.Dropdown(
        [*keys], value=keys[0] if keys else None, label=word(label), filterable=len(keys) > 8, interactive=True
    )


def update_runs(keys: Sequence[str], chosen: object) -> Any:
    """The menu of runs with those that there are now; the chosen one stays where it is still there."""
    value: Any
    if isinstance(chosen, list):
        value = [key for key in chosen if key in keys] or [*keys[:1]]
    else:
        value = chosen if chosen in keys else (keys[0] if keys else None)
    return gr.Dropdown(choices=[*keys], value=value, interactive=True)
