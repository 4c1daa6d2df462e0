"""Texts about a model that its code cannot give: models/words/NAME.yaml, beside the model's file.

    idea: ...                                   the first line of the model's file, in Korean
    solves: {en: ..., ko: ...}                  the problem, and the paper's idea
    symbols: {en: ..., ko: ...}                 what the symbols of the formulas stand for
    players: {generator: {en: ..., ko: ...}}    the aim of each player
    terms:                                      every term of a step, by its name in the log
      generator/fool: {formula: '...', en: ..., ko: ...}
    result: {en: ..., ko: ...}                  the paper's main result
    trying: [{en: ..., ko: ...}]                what to try when training fails

A formula that holds for some settings only says so: `when: {objective: minimax}`; a term may be a list of such.
A term is what its player minimises, so its sign is the opposite of an objective that the paper maximises.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml

from ganforge.catalogue import FOLDER
from ganforge.errors import ContractError

Language = Literal["en", "ko"]
LANGUAGES: tuple[Language, Language] = ("en", "ko")
Bilingual = Mapping[str, str]  # {language: text}
COMMON_TERMS: dict[str, Bilingual] = {  # reports that every game may log (game.py)
    "says_real": {
        "en": "The discriminator's mean output on real images; only logged.",
        "ko": "진짜 이미지에 대한 판별자 출력의 평균. 기록만 합니다.",
    },
    "says_fake": {
        "en": "The discriminator's mean output on generated images; only logged.",
        "ko": "생성된 이미지에 대한 판별자 출력의 평균. 기록만 합니다.",
    },
}


@dataclass(frozen=True)
class TermNote:
    """Formula and meaning of one term, with the settings under which they hold."""

    formula: str
    meaning: Bilingual
    when: Mapping[str, Any]

    def holds(self, config: Any) -> bool:
        """Whether it holds for this Config."""
        return all(getattr(config, name) in (v if isinstance(v, list) else [v]) for name, v in self.when.items())


@dataclass(frozen=True)
class Notes:
    """All texts about a model."""

    idea: str
    solves: Bilingual
    symbols: Bilingual
    players: Mapping[str, Bilingual]
    terms: Mapping[str, tuple[TermNote, ...]]
    result: Bilingual
    trying: tuple[Bilingual, ...]

    def find_term(self, term: str, config: Any) -> TermNote | None:
        """The note about `player/term` that holds for this Config; None where there is none."""
        note = next((one for one in self.terms.get(term, ()) if one.holds(config)), None)
        name = term.partition("/")[2]
        return note or (TermNote("", COMMON_TERMS[name], {}) if name in COMMON_TERMS else None)


NO_NOTES = Notes("", {}, {}, {}, {}, {}, ())


def read_notes(model: str) -> Notes:
    """The notes about a model, by its name or its own file; NO_NOTES where there is no words/NAME.yaml beside it.

    Raises ContractError, naming the file and the place, where it does not have this form.
    """
    file = Path(model) if model.endswith(".py") else FOLDER / f"{model}.py"
    file = file.with_name("words") / f"{file.stem}.yaml"
    if not file.is_file():
        return NO_NOTES
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ContractError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Notes(
            idea=content["idea"],
            solves=parse_bilingual(content["solves"]),
            symbols=parse_bilingual(content["symbols"]),
            players={name: parse_bilingual(texts) for name, texts in content["players"].items()},
            terms={name: parse_term_notes(entry) for name, entry in content["terms"].items()},
            result=parse_bilingual(content["result"]),
            trying=tuple(parse_bilingual(texts) for texts in content["trying"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{file} lacks {error}: explainer/notes.py describes its form.") from error


def parse_bilingual(texts: Mapping[str, Any]) -> Bilingual:
    """A text in both languages, each on one line."""
    return {language: " ".join(texts[language].split()) for language in LANGUAGES}


def parse_term_notes(entry: Any) -> tuple[TermNote, ...]:
    """The notes about one term: one, or one for each of several settings."""
    entries = entry if isinstance(entry, list) else [entry]
    return tuple(TermNote(one["formula"], parse_bilingual(one), one.get("when", {})) for one in entries)
