"""Run folders that were damaged, edited by hand, or made by somebody who means harm."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.fuzz.case import Case, Chance, Kind, Making, Must
from tests.fuzz.folders import copied
from tests.fuzz.pictures import shots
from tests.fuzz.trees import fifo, in_folder

RUN = "work/myrun"
MODELS = ("gan", "gan", "dcgan", "pix2pix")


def verb(making: Making, model: str) -> list[str]:
    """A command that opens the run."""
    chance, run = making.chance, chance_address(making.chance)
    if model == "pix2pix":
        in_folder({f"{k}.{s.ending}": s.content for k, s in enumerate(shots(making.chance, 2))}, making.given / "set")
        if chance.often(0.5):
            return ["translate", run, "../in/set", "out/made"]
    draw = ["sample", run, "-n", "2", "-o", "out/grid.png"]
    walk = ["interpolate", run, "-o", "out/walk.png", "--rows", "2", "--steps", "2"]
    return chance.choice((
        draw if model != "pix2pix" else ["show", run],
        ["show", run],
        ["resume", run, "--steps", "3", "--no-tensorboard"],
        ["resume", run, "--steps", "3", "--no-tensorboard"],
        ["export", run, "-o", "out/net", "--format", "safetensors"],
        walk if model != "pix2pix" else ["show", run],
    ))  # fmt: skip


def chance_address(chance: Chance) -> str:
    """The run as it is named, mostly its newest checkpoint."""
    return f"myrun{chance.choice(('', '', '', '', '@latest', '@1', '@000000002', '@best'))}"


def opened(making: Making, what: str, model: str, must: Must, *names: str, **more: Any) -> Case:
    """The case of a command that opens the run; a refusal leaves the folder as it was."""
    words = more.pop("words", None) or verb(making, model)
    if "@best" in words[1] and must == "accept":
        must = "either"
    known = ("config.yaml", "state.json", "checkpoint", *names)
    kept = more.pop("kept", (RUN,))
    changes = ("work/out", "work/runs", *((RUN,) if words[0] == "resume" else ()))
    return Case(f"{model}: {what}", [words], must, names=known, changes=changes, kept=kept, **more)


def begun(making: Making) -> tuple[str, Path]:
    """A model, and a copy of a genuine run of it."""
    model = making.chance.choice(MODELS)
    path = making.root / RUN
    copied(making.runs(model), path)
    return model, path


def newest(run: Path) -> Path:
    """The folder of its newest checkpoint."""
    return max((run / "checkpoints").glob("step-*"))


# -- config.yaml ------------------------------------------------------------------------------------

ANCHORS = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{new}: &{new} [{','.join(f'*{old}' for _ in range(9))}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
VALUES = (
    *(None, -1, 0, 1, 2**70, 1e300, float("nan"), float("inf"), "", "x", True, [], {}, [1, 2], {"a": 1}, "\x00", "²"),
    *([[[]]], -5, 0.5, "../..", "cuda", "1", "ada", [16, 16, 16], [-16], [0], [2**40], 2**31, 10**9, 1e-320),
)
TEXTS = {
    "empty": "",
    "null": "null",
    "a list": "- 1\n- 2\n",
    "a word": "hello",
    "a tab": "model:\tgan\n\tx: 1\n",
    "a tag": "!!python/object/apply:builtins.exec ['EVIL']\n",
    "a tag inside": "model: !!python/object/apply:builtins.exec ['EVIL']\npreset: tiny\n",
    "anchors": ANCHORS + "model: gan\n",
    "anchors as the config": ANCHORS + "model: gan\npreset: tiny\nconfig: {lr: *i}\nrun: {}\nfacts: {}\ndata: {}\n",
    "a circle": "model: gan\npreset: tiny\nconfig: &c {lr: *c}\nrun: {}\nfacts: {}\ndata: {}\n",
    "a circle of lists": "model: gan\npreset: tiny\nconfig: {}\nrun: {}\nfacts: {labels: &l [*l]}\ndata: {}\n",
    "deep": "[" * 3000,
    "deep maps": "model: gan\nconfig: " + "{a: " * 1500 + "}" * 1500,
    "two documents": "model: gan\n---\nmodel: dcgan\n",
    "keys that are no text": "1: 2\n[1]: 3\n? {a: 1}\n: 4\n",
    "html": "<!DOCTYPE html><html>",
    "merge": "<<: [{model: gan}, 3]\n",
    "a date": "model: 2020-01-01\npreset: 12:30:45\nconfig: {}\nrun: {}\nfacts: {}\ndata: {}\n",
}


def run_config(making: Making) -> Case:
    """config.yaml flipped, cut, edited, or replaced."""
    chance = making.chance
    model, path = begun(making)
    file = path / "config.yaml"
    before = file.read_bytes()
    kind = chance.choice(
        ("flip", "flip", "flip", "cut", "missing", "type", "type", "type", "extra", "text", "text", "bytes")
    )
    must: Must = "either"
    if kind in ("flip", "cut"):
        what, after = (
            flipped(chance, before) if kind == "flip" else ("cut off", before[: chance.randrange(len(before))])
        )
        file.write_bytes(after)
        must = "notice" if parsed(after) != parsed(before) else "either"
    elif kind == "text":
        what = chance.choice(tuple(TEXTS))
        file.write_text(TEXTS[what].replace("EVIL", making.evil.replace("'", "''")), encoding="utf-8")
    elif kind == "bytes":
        what, after = chance.choice(
            (("UTF-16", before.decode().encode("utf-16")), ("zeros", bytes(500)), ("0xff", b"\xff" + before))
        )
        file.write_bytes(after)
    else:
        said = yaml.safe_load(before)
        what = edited(chance, said, kind)
        file.write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    return opened(making, f"config.yaml, {kind}: {what}", model, must)


def flipped(chance: Chance, content: bytes) -> tuple[str, bytes]:
    """(where, the same with another bit)."""
    place, bit = chance.randrange(len(content)), chance.randrange(8)
    return f"bit {bit} of byte {place}", content[:place] + bytes([content[place] ^ 1 << bit]) + content[place + 1 :]


def parsed(content: bytes) -> Any:
    """What YAML says, or None."""
    try:
        return repr(yaml.safe_load(content.decode("utf-8")))
    except (yaml.YAMLError, ValueError, RecursionError, TypeError, AttributeError, OverflowError):
        return None


def edited(chance: Chance, said: dict[str, Any], kind: str) -> str:
    """Take a value away, put another in its place, or add one, at any depth; returns what was done."""
    place, name = said, chance.choice(sorted(said))
    where = name
    while isinstance(place[name], dict) and place[name] and chance.often(0.8):
        place = place[name]
        name = chance.choice(sorted(place))
        where += f".{name}"
    if kind == "missing":
        del place[name]
        return f"no {where}"
    value = chance.choice(VALUES)
    if kind == "extra":
        name = chance.choice(("unheard of", "__class__", "steps", "model", "²"))
    place[name] = value
    return f"{where}{' and ' + name if kind == 'extra' else ''} is {value!r}"


# -- other entries ----------------------------------------------------------------------------------


def odd_place(making: Making) -> Case:
    """Something in the run folder is of another kind than it should be."""
    chance = making.chance
    model, path = begun(making)
    step = newest(path).relative_to(path).as_posix()
    name = chance.choice((
        *("log.jsonl", "checkpoints/best", "checkpoints/latest", ".lock", "samples", "config.yaml", "checkpoints"),
        *(step, f"{step}/state.json", f"{step}/game.safetensors", "checkpoints/step-²", "report.json", "losses.png"),
        *("parts", "checkpoints/.step-000000003.partial", "checkpoints/step-000000003", "tensorboard", "export"),
    ))  # fmt: skip
    kind = chance.choice(tuple(PLACES))
    place = path / name
    if place.is_dir():
        place.rename(path.parent / "aside")
    else:
        place.unlink(missing_ok=True)
    PLACES[kind](place, chance)
    words = verb(making, model)
    if chance.often(0.15):
        words[1] = chance.choice(
            ("myrun@²", "myrun@", "myrun@-1", "myrun@99999999999999999999", "myrun@x", "@", "myrun/", "myrun@٣")
        )
    return opened(
        making, f"{name} is {kind}", model, "either", name.rpartition("/")[2], words=words, limit=10.0, kept=()
    )


PLACES: dict[str, Callable[[Path, Chance], object]] = {
    "a folder": lambda place, chance: place.mkdir(parents=True),
    "a pipe": lambda place, chance: fifo(place),
    "empty": lambda place, chance: place.write_bytes(b""),
    "a link to itself": lambda place, chance: place.symlink_to(place.name),
    "a link to nothing": lambda place, chance: place.symlink_to("not there"),
    "a link to /dev/zero": lambda place, chance: place.symlink_to("/dev/zero"),
    "odd text": lambda place, chance: place.write_text(
        chance.choice(
            ("step-²", "step-", "²", "step-000000099", "{", "null\n", '{"step": "x"}\n[1]\n', "../../x", "-1")
        )
    ),
    "odd bytes": lambda place, chance: place.write_bytes(
        b"\xff\xfe\x00" + bytes(chance.randrange(256) for _ in range(50))
    ),
    "not readable": lambda place, chance: (place.write_bytes(b"x"), place.chmod(0)),
    "gone": lambda place, chance: None,
}
EVIL_MODEL = """
{evil}
from dataclasses import dataclass
from ganforge.game import Game

@dataclass(frozen=True)
class Config:
    lr: float = 0.1

class Evil(Game[Config, object]):
    pass
"""


def run_code(making: Making) -> Case:
    """Somebody else's run whose model is a file of theirs: it must not be imported."""
    chance = making.chance
    model, path = begun(making)
    text = EVIL_MODEL.format(evil=making.evil)
    where = chance.choice(("evil.py", "myrun/evil.py", "../in/evil.py", "myrun/.evil.py", "evil.PY"))
    target = making.root / "work" / where
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    said = yaml.safe_load((path / "config.yaml").read_text(encoding="utf-8"))
    source = chance.choice(("", hashlib.sha256(text.encode()).hexdigest()))
    called = chance.choice((f"./{where}", where, str(target)))
    inside = chance.choice(("", "", "part", "package"))
    if inside == "package":
        called = chance.choice(("../../evil", "evil", "os", "..evil", "ganforge.models.gan", "/evil", "gan/../evil"))
    said |= {"model": called, "source": source}
    top = path
    if inside == "part":
        top = path / "parts" / chance.choice(("judge", "teacher", "generator"))
        copied(making.runs(model), top)
    (top / "config.yaml").write_text(yaml.safe_dump(said, sort_keys=False, allow_unicode=True), encoding="utf-8")
    words = verb(making, model)
    if inside == "part" and chance.often(0.5):
        words[1] = top.relative_to(making.root / "work").as_posix()
    return opened(
        making, f"the model is {called}, source {source[:6]!r} {inside}", model, "either", "evil", words=words
    )


KINDS: dict[str, Kind] = {
    "run-config": run_config,
    "run-places": odd_place,
    "run-code": run_code,
}
