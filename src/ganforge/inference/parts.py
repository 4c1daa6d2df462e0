"""Pretrained parts: Config fields that name a run, whose game is loaded before the new game is built.

The run folder stores each part as a small run folder under parts/, so that loading does not need the original; of a
pretrained text encoder of other people it stores the files.  A linked part (`--link-parts`) stays where it is:
config.yaml holds its path and the hash of what its answers follow from.
"""

import dataclasses
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from ganforge.batches import Facts
from ganforge.catalogue import Model, part_models
from ganforge.errors import GANForgeError, ModelError, RunError
from ganforge.files import reason
from ganforge.game import Game, Part, missing_parts, part_fields
from ganforge.inference.hashes import hash_part, hash_run, is_linked
from ganforge.inference.trained import Trained
from ganforge.runs.folder import RunFolder
from ganforge.serialize import shorten
from ganforge.text.encoders import HUB, FrozenEncoder, copy_encoder, find_on_hub, hash_encoder, is_encoder, load_encoder
from ganforge.text.tokeniser import FILE, Tokeniser

Load = Callable[[str], Trained]
DESCRIBE_DATA = ("captions", "region_codes", "region_reading")
"""Facts about the files of the data, on which no network depends."""


def named_parts(config: Any) -> dict[str, tuple[str, Part]]:
    """{field: (run, its Part)} for every field of a Config that names a part."""
    return {name: (getattr(config, name), part) for name, part in part_fields(config).items() if getattr(config, name)}


def resolve(config: Any, load: Load, model: str) -> dict[str, Trained]:
    """Load the parts of the Config of `model`: runs, and pretrained text encoders, `hf:NAME` or a folder.

    Raises ModelError, naming the command that trains a missing one, and for a part of another model.
    """
    parts = {}
    for name, (run, part) in named_parts(config).items():
        models = part_models(part, model)
        if part.encodes_text and is_encoder(run):
            frozen = load_encoder(run)
            parts[name] = Trained(frozen.encoder, frozen.folder, run, 0, tokeniser=frozen.tokeniser)  # pyright: ignore
            continue
        try:
            parts[name] = load(run)
        except GANForgeError as error:
            makes = f"`ganforge train {models[0]}` trains one; name its" if models else "Name its"
            raise ModelError(
                f"The part {name!r} cannot be loaded from {run!r}: {error} {makes} run folder with "
                f"--config.{name.replace('_', '-')}."
            ) from error
        check_kind(name, part, models, parts[name], run)
    return parts


def refuse_missing(model: Model, config: Any) -> None:
    """Raise ModelError where a part is needed and none is named."""
    for name, part in missing_parts(config).items():
        makes = f"`ganforge train {part.models[0]}` trains one" if part.models else "it may be of any model"
        raise ModelError(
            f"{Path(model.name).stem} is built on the part {name!r}, and none is named: {makes}; name its run folder "
            f"with --config.{name.replace('_', '-')}."
        )


def check_kind(name: str, part: Part, models: tuple[str, ...], trained: Trained, run: str) -> None:
    """Raise ModelError where a part is of another model, or cannot do what is asked of it."""
    if not part.takes_any and trained.model not in models:
        raise ModelError(
            f"The part {name!r} must be a run of {' or '.join(models)}; {run!r} is one of {trained.model}."
        )
    for setting, value in part.having:
        if (own := getattr(trained.game.config, setting)) != value:
            raise ModelError(
                f"The part {name!r} must be a run of {trained.model} with {setting} {value}, and {run!r} was trained "
                f"with {setting} {own}: train one with `ganforge train {trained.model} --config.{setting} {value}`."
            )
    if lacking := [verb for verb in part.can if not is_able(trained.game, verb)]:
        raise ModelError(
            f"The part {name!r} must be able to {' and '.join(part.can)}, and {trained.model} cannot {lacking[0]}: "
            "name a run of a model that can (`ganforge show MODEL` lists what it can)."
        )


def is_able(game: Game[Any, Any], verb: str) -> bool:
    """Whether a game has a method; the features of images are those of its discriminator, where it has no method."""
    return hasattr(game, verb) or (verb == "features" and bool(game.augmented))


def check_facts(config: Any, parts: Mapping[str, Trained], facts: Facts) -> None:
    """Raise ModelError for a part that was made for other data than these, in a fact that its Part does not free.

    A text encoder sees no images, and its tokeniser is the run's: its facts may be any.
    """
    for name, (_, part) in named_parts(config).items():
        if part.encodes_text:
            continue
        own = parts[name].facts
        differ = [f.name for f in fields(Facts) if getattr(own, f.name) != getattr(facts, f.name)]
        differ = [fact for fact in differ if fact not in (*part.free, *DESCRIBE_DATA)]
        if not differ:
            continue
        makes = f"train a new one with `ganforge train {Path(parts[name].model).stem}"
        if {*differ} <= {"height", "width"}:
            size = f"{own.height}" if own.height == own.width else f"{own.height} {own.width}"
            raise ModelError(
                f"The part {name!r} was made for {own.height}x{own.width} and this run is {facts.height}x"
                f"{facts.width}: say --size {size}, or {makes} --size {facts.height} {facts.width}`."
            )
        fact = next(fact for fact in differ if fact not in ("height", "width"))
        raise ModelError(
            f"The part {name!r} was made for data whose {fact} is {shorten(getattr(own, fact))}, and here it is "
            f"{shorten(getattr(facts, fact))}: give the data that it was made for, or {makes}`."
        )


def find_tokeniser(config: Any, parts: Mapping[str, Trained]) -> Tokeniser | None:
    """The tokeniser of the text encoder among a Config's parts, or else of a part that reads sentences itself."""
    declared = part_fields(config)
    having = sorted(parts, key=lambda name: not declared[name].encodes_text)
    return next((parts[name].tokeniser for name in having if parts[name].tokeniser), None)


def describe_parts(parts: Mapping[str, Trained], link: bool) -> dict[str, Any]:
    """What config.yaml says about each part: where it came from, and its hash where it is only linked."""
    if not link:
        return {name: part.model if is_frozen(part) else str(part.path) for name, part in parts.items()}
    return {
        name: {"linked": address_of(part), "sha256": hash_part(part.path, part.step)} for name, part in parts.items()
    }


def is_frozen(part: Trained) -> bool:
    """Whether a part is a pretrained text encoder rather than a run."""
    return isinstance(part.game, FrozenEncoder)


def address_of(part: Trained) -> str:
    """What names a part from anywhere: RUN@STEP, `hf:NAME` or the folder of a pretrained encoder."""
    if is_frozen(part):
        return part.model if part.model.startswith(HUB) else str(part.path.resolve())
    return f"{part.path.resolve()}@{part.step}"


def copy_parts(folder: RunFolder, parts: Mapping[str, Trained], records: Mapping[str, Any]) -> None:
    """Copy the config and the checkpoint of each part that is not linked into the run folder.

    Raises RunError where that fails.
    """
    for name, part in parts.items():
        if is_linked(records[name]):
            continue
        target = folder.path / "parts" / name
        step = f"step-{part.step:09d}"
        try:
            if target.exists():  # of a process that was killed before there was a config.yaml
                shutil.rmtree(target)
            if is_frozen(part):
                copy_encoder(part.path, target)
                continue
            (target / "checkpoints").mkdir(parents=True)
            shutil.copy2(part.path / "config.yaml", target)
            if (part.path / FILE).is_file():
                shutil.copy2(part.path / FILE, target)
            shutil.copytree(part.path / "checkpoints" / step, target / "checkpoints" / step)
            if (part.path / "parts").is_dir():  # links stay links: a circle of them would be copied for ever
                shutil.copytree(part.path / "parts", target / "parts", symlinks=True)
        except OSError as error:
            raise RunError(f"The part {name!r} cannot be copied from {part.path} ({reason(error)[:300]}).") from error


def load_kept(config: Any, folder: Path, load: Load, records: Mapping[str, Any], model: str) -> dict[str, Trained]:
    """Load the parts of an existing run from its own folder, or from where they are linked.

    Raises ModelError where a linked part is missing or has changed.
    """
    runs = {name: str(folder / "parts" / name) for name in named_parts(config)}
    for name in runs:
        if is_linked(records.get(name)):
            runs[name] = find_linked(name, records[name])
    return resolve(dataclasses.replace(config, **runs), load, model)


def find_linked(name: str, record: Mapping[str, Any]) -> str:
    """The address of a linked part.  Raises ModelError where its run is missing or has changed."""
    address = str(record.get("linked"))
    path, _, step = address.rpartition("@")
    try:
        if is_encoder(address):
            found = hash_encoder(find_on_hub(address.removeprefix(HUB)) if address.startswith(HUB) else Path(address))
        else:
            found = hash_run(Path(path), int(step))
    except (GANForgeError, ValueError, OSError) as error:
        raise ModelError(
            f"The part {name!r} is linked to {address}, which cannot be opened ({error}): bring that run back."
        ) from error
    if found != record.get("sha256"):
        raise ModelError(
            f"The part {name!r} is linked to {address}, whose weights or settings have changed since: restore that run."
        )
    return address
