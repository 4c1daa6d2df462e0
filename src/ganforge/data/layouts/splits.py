"""Find the splits of a data set: folders that say training, test or validation, at any depth and in any usual spelling.

train/cat/1.png    Train_set/cat/1.png    cat/train/1.png    1.Training/cat/1.png    pets_train/1.png beside pets_test/

What a folder says is held out is never trained on, whatever lies around it.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from ganforge.console import count
from ganforge.errors import DataError

WORDS = {
    "train": "train(?:ings?|val)?|trn|학습|훈련",
    "test": "test(?:s|ing)?|tst|eval(?:uation)?|테스트|시험|평가",
    "val": "val(?:id(?:ation)?)?|vld|dev|holdout|heldout|검증",
}
HELD_OUT = ("test", "val")  # the first that exists is used
FILLERS = (
    "(?:sets?|splits?|data(?:sets?)?|images?|imgs?|photos?|pictures?|pics|files?|samples?|folder|"
    "데이터|이미지|사진|자료|파일|세트|셋|집합|용)*"
)
SPELLINGS = {phase: re.compile(f"{FILLERS}(?:{words}){FILLERS}") for phase, words in WORDS.items()}
LONGEST = 300  # letters of a path in a sentence
SEPARATORS = re.compile(r"[\W\d_]+")


@dataclass(frozen=True)
class Place:
    """Where an image lies among the splits."""

    phase: str
    """`train`, `test`, `val`, or empty if no folder says so."""
    folder: str
    """The name of the folder that says so."""
    inner: str
    """The path of the image without the folders of splits."""
    top: str
    """The path down to the folder that says so, with a slash; empty if no folder does."""


def phase_of(name: str) -> str:
    """`train`, `test` or `val` if a folder of this name is such a split; else empty.

    `Train_set`, `test-images`, `val2017` and `1.Training` are; `test_tube` and `station` are not.
    """
    letters = SEPARATORS.sub("", unicodedata.normalize("NFC", name).lower())
    return next((phase for phase, spelling in SPELLINGS.items() if spelling.fullmatch(letters)), "")


def phases_of_siblings(names: Collection[str]) -> dict[str, str]:
    """{name: phase} of the folders in one folder that are splits; `pets_train` is one if `pets_test` lies beside it."""
    phases = {name: phase for name in names if (phase := phase_of(name))}
    alike: dict[str, dict[str, str]] = {}
    for name in names:
        words = [(word, phase) for word in SEPARATORS.split(name.lower()) if (phase := phase_of(word))]
        if name not in phases and len(words) == 1:
            word, phase = words[0]
            alike.setdefault(name.lower().replace(word, "*", 1), {})[name] = phase
    if "invalid" in map(str.lower, names):  # classes of documents, tickets ...
        phases = {name: phase for name, phase in phases.items() if name.lower() != "valid"}
    for group in alike.values():
        if "train" in group.values() and not {*HELD_OUT}.isdisjoint(group.values()):
            phases |= group
    return phases


def choose_phases(present: Collection[str], held_out: bool, deep: bool) -> set[str]:
    """The phases to read, of those that are present; `deep`: the splits lie inside of other folders."""
    if held_out:
        return {*[phase for phase in HELD_OUT if phase in present][:1]}
    return {"train"} if "train" in present and not deep else {"train", ""}


class Splits:
    """The splits of some images, whose names are relative to a common folder."""

    def __init__(self, names: Iterable[str]) -> None:
        self.places: dict[str, Place] = {}
        children = _children(names := tuple(names))
        self.phases = {folder: phases_of_siblings(own) for folder, own in children.items()}
        walked: dict[str, tuple[str, str, str, str]] = {}
        for name in names:
            folder, slash, file = name.rpartition("/")
            if folder not in walked:
                walked[folder] = self._walk(folder, children)
            phase, said, inner, top = walked[folder]
            self.places[name] = Place(phase, said, f"{inner}{file}" if slash else file, top)
        self.deep = not any(place.top.count("/") == 1 for place in self.places.values())
        """Whether the splits lie inside of other folders, as in cat/train and cat/test."""
        self._drop_words_that_split_nothing()

    def _walk(self, folder: str, children: dict[str, set[str]]) -> tuple[str, str, str, str]:
        """Phase, the folder that says it, and the path without it (ending in a slash) of the images in `folder`."""
        phase, said, top, inner, above, last = "", "", "", [], "", ""
        for part in folder.split("/") if folder else ():
            found, siblings = self.phases[above].get(part, ""), children[above]
            is_class = last != "" and any(name not in self.phases[above] for name in siblings)  # train/cat, train/test
            if found and (not phase or (phase == "train" and found != "train" and not is_class)):
                phase, said, top = found, part, f"{above}/{part}/".lstrip("/")
                last = part
            elif found == phase != "" and last and len(siblings) == 1:
                pass  # training_set/training_set/cat
            else:
                inner.append(f"{part}/")
                last = ""
            above = f"{above}/{part}".lstrip("/")
        return phase, said, "".join(inner), top

    def _drop_words_that_split_nothing(self) -> None:
        """A deep `train` is a class or a place without a held-out split; beside splits at the top it is one as well."""
        held = any(place.phase in HELD_OUT for place in self.places.values())
        for name, place in self.places.items():
            if place.phase == "train" and place.top.count("/") > 1 and not (self.deep and held):
                self.places[name] = Place("", "", name, "")

    def choose(self, held_out: bool, annotated: Iterable[str] | None = None) -> list[str] | None:
        """The images to train on, or those that are held out; None if there are none.

        Of several held-out splits the first counts that has images, or with `annotated` some of these.
        """
        present = {self.places[name].phase for name in (self.places if annotated is None else annotated)}
        wanted = choose_phases(present, held_out, self.deep)
        return [name for name, place in self.places.items() if place.phase in wanted] or None

    def count(self, names: Iterable[str]) -> dict[str, int]:
        """{folder that says the split: number of these images}; empty for those outside of all."""
        return dict(Counter(self.places[name].folder for name in names))

    def top(self, names: Sequence[str]) -> str:
        """The folder of one split that holds all of `names`, ending in a slash; empty if there is none."""
        tops = {self.places[name].top for name in names}
        return tops.pop() if len(tops) == 1 and not self.deep else ""

    def held_out_only_error(self, where: str, is_folder: bool, root: str = "") -> DataError:
        """The error for data of which all images are held out."""
        counts = ", ".join(f"{name} ({count(n, 'image')})" for name, n in self.count(self.places).items())
        first = f"{where}/{root}{min(place.top for place in self.places.values())}".rstrip("/")
        way = f"to train on one of them all the same, give that folder: --data {first}"
        if not is_folder or self.deep or len(first) > LONGEST:
            way = "rename the folder of those to train on"
        return DataError(f"{where} has no training images, only held-out ones: {counts}. Add a folder train, or {way}.")


def _children(names: Iterable[str]) -> dict[str, set[str]]:
    """{folder: names of the folders in it} of all folders that lead to the images `names`."""
    children: dict[str, set[str]] = {"": set()}
    for folder in {name.rpartition("/")[0] for name in names}:
        above = ""
        for part in folder.split("/") if folder else ():
            children[above].add(part)
            above = f"{above}/{part}".lstrip("/")
            children.setdefault(above, set())
    return children
