"""How a sentence is made of its tokens, by sentence-transformers' own file: known ways, or a sentence."""

import json
from pathlib import Path

import pytest

from ganforge.errors import ModelError
from ganforge.text.encoders import pooling_of

MEAN = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False, "include_prompt": True}
CASES = [
    (MEAN, "mean"),
    ({**MEAN, "pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}, "first"),
    ({"pooling_mode": "cls"}, "first"),
    ({"pooling_mode": "mean"}, "mean"),
]
OTHERS = [{"pooling_mode_lasttoken": True}, {**MEAN, "pooling_mode_max_tokens": True}, {"pooling_mode": "max"}, {}]


def write(folder: Path, text: str) -> Path:
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(text)
    return folder


@pytest.mark.parametrize(("options", "expected"), CASES)
def test_known_poolings(options: dict[str, object], expected: str, tmp_path: Path):
    assert pooling_of(tmp_path) == "mean"
    assert pooling_of(write(tmp_path, json.dumps(options))) == expected


@pytest.mark.parametrize("options", OTHERS)
def test_another_pooling_is_refused(options: dict[str, object], tmp_path: Path):
    with pytest.raises(ModelError, match="and not by the mean or the first token"):
        pooling_of(write(tmp_path, json.dumps(options)))


@pytest.mark.parametrize("text", ["[]", "{", "3", "[" * 5_000])
def test_a_damaged_file_is_one_sentence(text: str, tmp_path: Path):
    with pytest.raises(ModelError, match=r"config\.json cannot be read"):
        pooling_of(write(tmp_path, text))
