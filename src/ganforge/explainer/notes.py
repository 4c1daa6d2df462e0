"""The words about a model that its code cannot give: models/words/NAME.yaml, beside the model's file.

    idea: ...                                   the first line of the model's file, in Korean
    solves: {en: ..., ko: ...}                  the problem, and the paper's idea
    symbols: {en: ..., ko: ...}                 what the letters of the formulas stand for
    players: {generator: {en: ..., ko: ...}}    what each is after
    terms:                                      every term that a round has, by its name in the log
      generator/fool: {formula: '...', en: ..., ko: ...}
    result: {en: ..., ko: ...}                  the paper's headline result
    trying: [{en: ..., ko: ...}]                what to try when it fails

A formula that holds for some settings alone says so: `when: {objective: minimax}`; a term may be a list of such.
A term is what its player descends, so its sign is the opposite of what the player climbs.
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
Both = Mapping[str, str]  # {language: text}
COMMON: dict[str, Both] = {  # reports that every game may make (game.py)
    "says_real": {
        "en": "The judge's mean verdict on real pictures; only logged.",
        "ko": "진짜 그림에 대한 판정의 평균. 기록만 합니다.",
    },
    "says_fake": {
        "en": "The judge's mean verdict on fakes; only logged.",
        "ko": "가짜 그림에 대한 판정의 평균. 기록만 합니다.",
    },
}


@dataclass(frozen=True)
class About:
    """What is said about one term, for the settings under which it holds."""

    formula: str
    says: Both
    when: Mapping[str, Any]

    def holds(self, config: Any) -> bool:
        """Whether it is about a game of these settings."""
        return all(getattr(config, name) in (v if isinstance(v, list) else [v]) for name, v in self.when.items())


@dataclass(frozen=True)
class Words:
    """Everything that is said about a model."""

    idea: str
    solves: Both
    symbols: Both
    players: Mapping[str, Both]
    terms: Mapping[str, tuple[About, ...]]
    result: Both
    trying: tuple[Both, ...]

    def about(self, term: str, config: Any) -> About | None:
        """What is said about `player/term` under these settings; None where nothing is."""
        found = next((a for a in self.terms.get(term, ()) if a.holds(config)), None)
        name = term.partition("/")[2]
        return found or (About("", COMMON[name], {}) if name in COMMON else None)


NOTHING = Words("", {}, {}, {}, {}, {}, ())


def words_of(model: str) -> Words:
    """The words about a model, by its name or its own file; none where there is no words/NAME.yaml beside it.

    Raises ContractError, naming the file and the place, where one does not have this form.
    """
    file = Path(model) if model.endswith(".py") else FOLDER / f"{model}.py"
    file = file.with_name("words") / f"{file.stem}.yaml"
    if not file.is_file():
        return NOTHING
    try:
        said = yaml.safe_load(file.read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ContractError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    try:
        return Words(
            idea=said["idea"],
            solves=both(said, "solves"),
            symbols=both(said, "symbols"),
            players={name: both(said["players"], name) for name in said["players"]},
            terms={name: abouts(name, entry) for name, entry in said["terms"].items()},
            result=both(said, "result"),
            trying=tuple(both({"trying": each}, "trying") for each in said["trying"]),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"{file} lacks {error}: lesson/words.py says which form it has.") from error


def both(said: Mapping[str, Any], key: str) -> Both:
    """A text in both languages, each on one line."""
    return {language: " ".join(said[key][language].split()) for language in LANGUAGES}


def abouts(name: str, entry: Any) -> tuple[About, ...]:
    """What is said about a term: once, or once for each of several settings."""
    entries = entry if isinstance(entry, list) else [entry]
    return tuple(About(each["formula"], both({name: each}, name), each.get("when", {})) for each in entries)
