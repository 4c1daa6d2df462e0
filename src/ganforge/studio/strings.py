"""The words of the studio in English and Korean: strings.yaml, one key a line with both."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

import yaml

LANGUAGES = ("en", "ko")


@cache
def strings() -> Mapping[str, Mapping[str, str]]:
    """{key: {language: text}}."""
    return yaml.safe_load(Path(__file__).with_name("strings.yaml").read_text(encoding="utf-8"))


def of_language(language: str) -> dict[str, str]:
    """{key: text} of one language."""
    return {key: texts[language] for key, texts in strings().items()}


def sentence(key: str, accepted: str = "", **values: object) -> str:
    """The text of a key with `values` filled in, in the language that a browser's Accept-Language prefers."""
    first = accepted.split(",")[0].strip().lower()
    return strings()[key]["ko" if first.startswith("ko") else "en"].format(**values)
