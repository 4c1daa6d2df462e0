"""Every kind of question becomes a component, and what it holds becomes an answer that the game takes."""

from inspect import Parameter
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Literal

import numpy as np
import pytest
from PIL import Image

from ganforge.batches import Facts
from ganforge.capabilities import Question, Range

pytest.importorskip("gradio", reason="gradio is not installed: pip install 'ganforge[studio]'")
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def field_of(question: Question, **facts: Any) -> Any:
    from ganforge.studio.forms import build_field

    held = Facts(**facts)
    game = SimpleNamespace(facts=held, editable=())
    trained = SimpleNamespace(game=game, facts=held, tokeniser=object(), captions=("a red star",))
    return build_field(question, trained)  # pyright: ignore


REQUIRED = Parameter.empty


@pytest.mark.parametrize(
    ("question", "kind", "held", "answer"),
    [
        (Question("truncation", float, 1.0, Range(0, 1)), "slider", 0.5, 0.5),
        (Question("rank", int, 2, Range(0, 5)), "slider", 3.0, 3),
        (Question("weight", float, 2.0), "number", 1.5, 1.5),
        (Question("reverse", bool, False), "checkbox", True, True),
        (Question("split", Literal["a", "b"], "a"), "radio", "b", "b"),
        (Question("text", Any, None, meaning="text"), "textbox", "a star", "a star"),
        (Question("text", Any, None, meaning="text"), "textbox", "", None),
        (Question("label", Any, None, meaning="label"), "dropdown", "cat", "cat"),
        (Question("label", Any, None, meaning="label"), "dropdown", "", None),
    ],
)
def test_a_question_is_a_component(question: Question, kind: str, held: Any, answer: Any, tmp_path: Path):
    field = field_of(question, labels=("cat", "dog"))
    assert field.component.get_block_name() == kind
    assert field.answer(held, tmp_path) == answer


def test_attributes_are_several_names(tmp_path: Path):
    question = Question("to", Any, REQUIRED, meaning="label")
    field = field_of(question, attributes=("red", "large"))
    assert field.component.multiselect
    assert field.answer(["red", "large"], tmp_path) == "red,large"
    assert field.component.value == ["red"]  # it is needed


def test_a_reference_image_is_read_from_the_uploads(tmp_path: Path):
    Image.fromarray(np.zeros((4, 6, 3), np.uint8)).save(tmp_path / "a.png")
    field = field_of(Question("style", Any, None, meaning="image"))
    assert field.answer(str(tmp_path / "a.png"), tmp_path).shape == (4, 6, 3)


def test_what_no_component_can_answer_is_left_out():
    assert field_of(Question("weights", dict, None)) is None
    assert field_of(Question("label", Any, None, meaning="label")) is None  # the data has no classes
