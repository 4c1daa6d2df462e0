"""Find which files are photographs, label maps and instance maps, by the names of their folders.

images/ labels/ instances/      img, photos, JPEGImages ...; label, annotations, masks, SegmentationClass ...; inst
{train,val}_{img,label,inst}/   splits as in splits.py, in one word with the kind or as folders of their own
A/ B/                           or source and target: the maps are on the side whose first file is an index image
one folder                      1.jpg beside 1.png, an index image
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ganforge.data.layouts.files import Files
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.splits import HELD_OUT, SEPARATORS, Splits, phase_of
from ganforge.data.layouts.two_folders import parse_side, stem

KINDS = {
    "photo": "images? imgs? photos? pictures? jpegimages leftimgbit leftimg rgb 이미지 사진",
    "map": "labels? annotations? annots? masks? segmentations? segmentationclass segs? semantics? gt gtfine labelmaps? "
    "stuffthingmaps pixelmaps regions? 라벨 레이블 마스크",
    "instance": "insts? instances? instancemaps? segmentationobject",
}
SPELLED = {kind: re.compile(f"(?:{'|'.join(words.split())})") for kind, words in KINDS.items()}
SIDES = (("A", "B"), ("source", "target"), ("input", "output"))
ENDING = re.compile(
    r"(?i)[_\-. ]+(leftimg8bit|gtfine_(labelids|instanceids)|labels?|labelmap|seg|mask|inst(ance)?s?|image|photo)$"
)


@dataclass(frozen=True)
class Role:
    """Kind and split of a file."""

    kind: str
    """`photo`, `map`, `instance`, or a side of `A` and `B`."""
    phase: str
    """`train`, `test`, `val` or empty."""
    folder: str
    """The path down to the folder that says the kind, with a slash."""
    key: str
    """What the files that belong together share: the path without these folders, and without the suffix."""


@dataclass(frozen=True)
class Roles:
    """The files of one split that belong to photographs, by the keys that they share."""

    photos: Mapping[str, str]
    maps: Mapping[str, str]
    instances: Mapping[str, str]
    every_map: tuple[str, ...]
    """The maps of all splits, which together decide what the regions are."""
    folders: tuple[str, ...]
    """The folders of the maps of all splits and those above, the nearest first, in which lists of names may lie."""


def find_roles(files: Files, held_out: bool, looks_like_map: Callable[[str], bool]) -> Roles | None:
    """Find the photographs and the label maps of a split; None if the folders do not say them.

    `looks_like_map` decides where the folders do not: whether a file is an index image, and no photograph.
    """
    phases = Splits(files.image_names).phases
    roles = {name: role for name in files.image_names if (role := parse_role(name, phases))}
    kinds = {role.kind for role in roles.values()}
    if not {"photo", "map"} <= kinds:
        sides = next((pair for pair in SIDES if {*pair} <= kinds), None)
        roles = choose_sides(roles, sides, looks_like_map) if sides else match_suffixes(files, phases, looks_like_map)
    present = {role.phase for role in roles.values() if role.kind == "map"}
    wanted = next((phase for phase in (HELD_OUT if held_out else ("train", "")) if phase in present), None)
    if wanted is None:
        return None
    taken = {wanted} if held_out or wanted == "" else {"train"}
    own: dict[str, dict[str, str]] = {"photo": {}, "map": {}, "instance": {}}
    for name, role in roles.items():
        if role.phase in taken:
            own.setdefault(role.kind, {}).setdefault(role.key, name)
    if not own["photo"]:
        return None
    every = tuple(name for name, role in roles.items() if role.kind == "map")
    order = ("train", "", "val", "test")
    tops = sorted({(order.index(role.phase), role.folder) for role in roles.values() if role.kind == "map"})
    folders = dict.fromkeys(folder for _, top in tops for folder in folders_above(top))
    return Roles(own["photo"], own["map"], own["instance"], every, tuple(sorted(folders, key=lambda f: -f.count("/"))))


def folders_above(folder: str) -> list[str]:
    """`a/b/`, `a/` and the empty one, of `a/b/`."""
    parts = folder.rstrip("/").split("/") if folder else []
    return ["".join(f"{part}/" for part in parts[:end]) for end in range(len(parts), -1, -1)]


def parse_role(name: str, phases: Mapping[str, Mapping[str, str]]) -> Role | None:
    """The role of `train/labels/1.png`, `labels/train/1.png` or `train_label/1.png`; None if no folder says a kind."""
    *folders, file = name.split("/")
    kind, phase, above, inner, reach = "", "", "", [], 0
    for number, folder in enumerate(folders, 1):
        own, said = phases.get(above, {}).get(folder, ""), kind_of(folder)
        own = own or said[1]
        above = f"{above}/{folder}".lstrip("/")
        if said[0] and not kind:
            kind, reach = said[0], number
        elif not own and kind:
            inner.append(folder)
        if own and (not phase or phase == "train"):
            phase = own
    if not kind:
        return None
    key = ENDING.sub("", stem(file))
    return Role(kind, phase, "".join(f"{folder}/" for folder in folders[:reach]), "/".join([*inner, key]))


def kind_of(folder: str) -> tuple[str, str]:
    """(kind, phase) that the name of one folder says; both may be empty."""
    words = [word for word in SEPARATORS.split(folder.lower()) if word]
    phase = next((phase for word in words if (phase := phase_of(word))), "")
    rest = "".join(word for word in words if not phase_of(word))
    kind = next((kind for kind, spelling in SPELLED.items() if spelling.fullmatch(rest)), "")
    if not kind and (side := parse_side(folder)) and not side.masks:
        return side.side, side.phase
    return kind, phase if kind else ""


def choose_sides(
    roles: Mapping[str, Role], sides: tuple[str, str], looks_like_map: Callable[[str], bool]
) -> dict[str, Role]:
    """The roles with the two sides as photographs and maps; empty if not exactly one side holds maps."""
    first = [next(name for name, role in roles.items() if role.kind == side) for side in sides]
    are_maps = [looks_like_map(name) for name in first]
    if sum(are_maps) != 1:
        return {}
    kinds = dict(zip(sides, ("map", "photo") if are_maps[0] else ("photo", "map"), strict=True))
    return {
        name: Role(kinds.get(role.kind, role.kind), role.phase, role.folder, role.key) for name, role in roles.items()
    }


def match_suffixes(
    files: Files, phases: Mapping[str, Mapping[str, str]], looks_like_map: Callable[[str], bool]
) -> dict[str, Role]:
    """Roles where every 1.jpg has an index image 1.png beside it; empty if they do not."""
    photos = {stem(name): name for name in files.image_names if name.lower().endswith((".jpg", ".jpeg"))}
    maps = {stem(name): name for name in files.image_names if name.lower().endswith(".png")}
    if not photos or photos.keys() != maps.keys() or len(photos) + len(maps) < len(files.image_names):
        return {}
    if not looks_like_map(maps[min(maps)]):
        return {}
    roles = {}
    for kind, named in (("photo", photos), ("map", maps)):
        for key, name in named.items():
            phase, above, inner = "", "", []
            for folder in name.split("/")[:-1]:
                own = phases.get(above, {}).get(folder, "")
                above = f"{above}/{folder}".lstrip("/")
                phase = own if own and phase in ("", "train") else phase
                inner += [] if own else [folder]
            roles[name] = Role(kind, phase, "", "/".join([*inner, key.rpartition("/")[2]]))
    return roles


def describe_partners(roles: Roles) -> tuple[str, ...]:
    """Notes on photographs without a map, and maps without a photograph, which are not taken."""
    notes = []
    for here, there, what, missing in (
        (roles.photos, roles.maps, "images", "label map"),
        (roles.maps, roles.photos, "label maps", "image"),
    ):
        alone = sorted(here[key] for key in here if key not in there)
        if alone:
            notes.append(
                f"Not taken: {len(alone)} {what} without {missing} of their name, the first {shorten(alone[0])}."
            )
    return tuple(notes)
