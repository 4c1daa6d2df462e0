"""Find which files are photographs, label maps and instance maps, by the names of their folders.

images/ labels/ instances/      img, photos, JPEGImages ...; label, annotations, masks, SegmentationClass ...; inst
{train,val}_{img,label,inst}/   splits as in splits.py, in one word with the kind or as folders of their own
A/ B/                           or source and target: the maps are on the side whose first file is an index image
one folder                      1.jpg beside 1.png, an index image
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from ganforge.console import count
from ganforge.data.layouts.files import Files
from ganforge.data.layouts.folders import find_root
from ganforge.data.layouts.names import shorten
from ganforge.data.layouts.splits import SEPARATORS, Place, Splits, choose_phases, phase_of
from ganforge.data.layouts.two_folders import SPELLINGS, parse_side, stem
from ganforge.errors import DataError

KINDS = {
    "photo": "images? imgs? photos? pictures? jpegimages leftimgbit leftimg rgb 이미지 사진",
    "map": "labels? annotations? annots? masks? segmentations? segmentationclass segs? semantics? gt gtfine labelmaps? "
    "stuffthingmaps pixelmaps regions? 라벨 레이블 마스크",
    "instance": "insts? instances? instancemaps? segmentationobject",
}
SPELLED = {kind: re.compile(f"(?:{'|'.join(words.split())})") for kind, words in KINDS.items()}
ENDING = re.compile(
    r"(?i)[_\-. ]+(leftimg8bit|gtfine_(?:labelids|instanceids)|labels?|labelmap|seg|mask|inst(?:ance)?s?|image|photo)$"
)
COLOUR_COPY = re.compile(r"(?i)_gtfine_color$")  # Cityscapes: the same map once more, in colours


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
    """What the files that belong together share: the path below that folder without splits, and without the suffix."""
    above: str
    """The path above that folder without splits, with a slash: the other part of what they share."""


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

    Raises:
        DataError: two photographs or two maps have one name.
    """
    root = find_root(files) if files.image_names else ""
    splits = Splits(name.removeprefix(root) for name in files.image_names)
    places = {name: splits.places[name.removeprefix(root)] for name in files.image_names}
    roles = {name: role for name, place in places.items() if (role := parse_role(name, root, place))}
    kinds = {role.kind for role in roles.values()}
    if not {"photo", "map"} <= kinds:
        sides = next((pair for pair in SPELLINGS if {*pair} <= kinds), None)
        roles = choose_sides(roles, sides, looks_like_map) if sides else match_suffixes(files, places, looks_like_map)
    wanted = choose_phases({role.phase for role in roles.values() if role.kind == "map"}, held_out, splits.deep)
    own = gather({name: role for name, role in roles.items() if role.phase in wanted}, has_common_paths(roles))
    if not own["photo"] or not own["map"]:
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


def has_common_paths(roles: Mapping[str, Role]) -> bool:
    """Whether photographs and maps share the path above the folder of their kind, as in scene1/rgb and scene1/labels.

    They do not where each kind was unpacked into a folder of its own.
    """
    photos, maps = (
        {(role.phase, role.above, role.key) for role in roles.values() if role.kind == kind}
        for kind in ("photo", "map")
    )
    return not photos.isdisjoint(maps)


def gather(roles: Mapping[str, Role], with_above: bool) -> dict[str, dict[str, str]]:
    """{kind: {key: file}}, in the order of the short keys; `with_above`: the key has the path above the kind as well.

    Raises:
        DataError: two files of one kind have one key.
    """
    own: dict[str, dict[str, str]] = {"photo": {}, "map": {}, "instance": {}}
    for name, role in sorted(roles.items(), key=lambda item: (item[1].key, item[1].above, item[0])):
        key = f"{role.above}{role.key}" if with_above else role.key
        other = own.setdefault(role.kind, {}).setdefault(key, name)
        if other != name:
            raise DataError(
                f"{shorten(other)} and {shorten(name)} share the name {shorten(key)}, so that it is open which of them "
                "belongs to a file of that name: rename or remove one."
            )
    return own


def parse_role(name: str, root: str, place: Place) -> Role | None:
    """The role of `train/labels/1.png`, `labels/train/1.png` or `train_label/1.png`; None if no folder says a kind.

    `place` is where the file lies among the splits of the files below `root`.
    """
    *folders, file = name.removeprefix(root).split("/")
    reach = next((number for number, folder in enumerate(folders) if kind_of(folder)[0]), None)
    if reach is None or COLOUR_COPY.search(stem(file)):
        return None
    kind, above, rest = kind_of(folders[reach])[0], [], place.inner.split("/")[:-1]
    for folder in folders[:reach]:
        if rest and rest[0] == folder:
            above.append(rest.pop(0))
    if rest and rest[0] == folders[reach]:
        rest.pop(0)
    said = next((phase for folder in folders[reach:] if (phase := kind_of(folder)[1])), "")
    phase = said if said and place.phase in ("", "train") else place.phase
    ending = ENDING.search(stem(file))
    if kind == "map" and ending and "inst" in ending[1].lower():  # Cityscapes keeps both kinds in one folder
        kind = "instance"
    key = "/".join([*(folder for folder in rest if not kind_of(folder)[1]), ENDING.sub("", stem(file))])
    top = root + "".join(f"{folder}/" for folder in folders[: reach + 1])
    return Role(kind, phase, top, key, "".join(f"{folder}/" for folder in above))


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
    return {name: replace(role, kind=kinds.get(role.kind, role.kind)) for name, role in roles.items()}


def match_suffixes(files: Files, places: Mapping[str, Place], looks_like_map: Callable[[str], bool]) -> dict[str, Role]:
    """Roles where every 1.jpg has an index image 1.png beside it; empty if they do not."""
    photos = {stem(name): name for name in files.image_names if name.lower().endswith((".jpg", ".jpeg"))}
    maps = {stem(name): name for name in files.image_names if name.lower().endswith(".png")}
    if not photos or photos.keys() != maps.keys() or len(photos) + len(maps) < len(files.image_names):
        return {}
    if not looks_like_map(maps[min(maps)]):
        return {}
    return {
        name: Role(kind, places[name].phase, "", stem(places[name].inner), "")
        for kind, named in (("photo", photos), ("map", maps))
        for name in named.values()
    }


def describe_partners(roles: Roles) -> tuple[str, ...]:
    """Notes on photographs without a map, and maps without a photograph, which are not taken."""
    notes = []
    for here, there, what, missing in (
        (roles.photos, roles.maps, "image", "label map"),
        (roles.maps, roles.photos, "label map", "image"),
    ):
        alone = sorted(here[key] for key in here if key not in there)
        if alone:
            notes.append(
                f"Not taken: {count(len(alone), what)} without {missing} of its name, the first {shorten(alone[0])}."
            )
    return tuple(notes)
