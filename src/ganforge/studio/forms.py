"""A game's questions as components of a page, and what they hold as its answers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import gradio as gr

from ganforge.capabilities import Question, labels_of, list_questions
from ganforge.inference.trained import Trained
from ganforge.studio.context import word
from ganforge.studio.pictures import read_upload
from ganforge.studio.strings import strings

FINE = 200  # steps of a slider


@dataclass(frozen=True)
class Field:
    """A question and its component."""

    question: Question
    component: Any
    joined: bool = False
    """Whether the component holds several names of attributes."""

    def answer(self, value: Any, uploads: Path) -> Any:
        """What the component holds, as an answer to the question; None where it holds nothing."""
        if value is None or value == "" or value == []:
            return None
        if self.question.meaning == "image":
            return read_upload(value, uploads)
        if self.joined:
            return ",".join(value)
        return int(value) if self.question.type is int else value


def build_fields(trained: Trained, method: str, skip: Sequence[str] = ()) -> list[Field]:
    """The fields of a capability's questions.  To be called where the components shall stand."""
    if not hasattr(trained.game, method):
        return []
    questions = [q for q in list_questions(getattr(trained.game, method)) if q.name not in skip]
    return [field for q in questions if (field := build_field(q, trained))]


def build_field(question: Question, trained: Trained) -> Field | None:
    """The field of one question; None for one that no component can answer."""
    label = describe(question)
    if question.meaning == "label":
        return build_label_field(question, label, trained)
    if question.meaning == "image":
        sources: list[Any] = ["upload", "webcam", "clipboard"]
        return Field(question, gr.Image(label=label, type="filepath", sources=sources, height=170, interactive=True))
    if question.meaning == "text":
        if trained.tokeniser is None:
            return None
        example = trained.captions[0] if trained.captions else ""
        return Field(question, gr.Textbox(label=label, placeholder=example, lines=1, max_length=500, interactive=True))
    if question.type is bool:
        return Field(question, gr.Checkbox(value=bool(question.default), label=label, interactive=True))
    if get_origin(question.type) is Literal:
        return Field(
            question, gr.Radio([*get_args(question.type)], value=question.default, label=label, interactive=True)
        )
    if question.type in (int, float):
        return Field(question, build_number(question, label))
    return None


def describe(question: Question) -> Any:
    """The name of a question: a word of the studio where it has one, else its own."""
    key = f"ask_{question.name}"
    return word(key) if key in strings() else question.name.replace("_", " ").capitalize()


def build_label_field(question: Question, label: Any, trained: Trained) -> Field | None:
    """The menu of a run's classes, or of its attributes."""
    names = [*labels_of(trained.game)]
    if not names:
        return None
    if trained.facts.attributes:
        chosen = names[:1] if question.required else []
        return Field(
            question, gr.Dropdown(names, value=chosen, multiselect=True, label=label, interactive=True), joined=True
        )
    choices = names if question.required else [("—", ""), *((name, name) for name in names)]
    return Field(
        question, gr.Dropdown(choices, value=names[0] if question.required else "", label=label, interactive=True)
    )


def build_number(question: Question, label: Any) -> Any:
    """A slider where the question has limits, else a field for a number."""
    whole, limits = question.type is int, question.limits
    default = None if question.required else question.default
    if limits is None:
        return gr.Number(
            value=default, label=label, precision=0 if whole else None, step=1 if whole else 0.1, interactive=True
        )
    step = 1 if whole else (limits.high - limits.low) / FINE
    return gr.Slider(
        limits.low,
        limits.high,
        value=limits.low if default is None else default,
        step=step,
        label=label,
        interactive=True,
    )


def read_answers(fields: Sequence[Field], values: Sequence[Any], uploads: Path) -> dict[str, Any]:
    """{question: answer} of what the components hold; questions without an answer are left out."""
    answers = {f.question.name: f.answer(value, uploads) for f, value in zip(fields, values, strict=True)}
    return {name: answer for name, answer in answers.items() if answer is not None}


def answers_as_typed(fields: Sequence[Field], values: Sequence[Any]) -> dict[str, Any]:
    """As `read_answers`, with the names of files, as the command takes them; defaults are left out."""
    typed = {}
    for field, value in zip(fields, values, strict=True):
        if value is None or value == "" or value == [] or value == field.question.default:
            continue
        held = Path(value).name if field.question.meaning == "image" else ",".join(value) if field.joined else value
        typed[field.question.name] = held
    return typed
