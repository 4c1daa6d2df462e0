"""Import official checkpoints as runs.

The adapters (official/) know each layout: its keys, the constructor arguments that follow from the shapes, and the
network of the game that it fills.  This file has what is common to all of them.
"""

import inspect
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from ganforge import official
from ganforge.batches import Facts
from ganforge.catalogue import Model, find
from ganforge.console import Say, silent
from ganforge.engine import Engine
from ganforge.errors import GANForgeError, ModelError, OptionError, RunError, WeightsError
from ganforge.files import sha256
from ganforge.game import Game
from ganforge.inference import parts
from ganforge.inference.load import build_game, load_part
from ganforge.inference.trained import Trained
from ganforge.official import Adapter, State
from ganforge.run import Preset
from ganforge.runs.folder import RunConfig, RunFolder, versions
from ganforge.serialize import check_config, from_plain, to_plain
from ganforge.text.tokeniser import FILE, Tokeniser


@dataclass(frozen=True)
class RecognisedFile:
    """An official file whose layout has been recognised."""

    path: Path
    place: str
    """The network that it fills, `cyclegan.to_b`."""
    adapter: Adapter
    """The official network, with the file's weights."""
    config: Mapping[str, Any]
    facts: Mapping[str, Any]
    assumed: Mapping[str, Any]
    """Arguments of the official constructor that nothing in the file shows."""

    @property
    def network(self) -> str:
        """The network's name in the game."""
        return self.place.partition(".")[2]


class NoData:
    """The loader of an imported run, which has no data."""

    count = 0

    def batch(self, number: int, share: int, shares: int) -> Any:
        raise RunError("This run was imported and has no data yet: give some with --data.")


def import_weights(
    files: str | Path | Sequence[str | Path],
    model: str,
    out: str | Path = "",
    *,
    class_name: str = "",
    entry: str = "",
    arguments: Mapping[str, Any] | None = None,
    config: Mapping[str, Any] | None = None,
    say: Say = silent,
) -> Path:
    """Make a run from official weights: `import_weights("latest_net_G.pth", "pix2pix", "runs/facades")`.

    `files` are .pth or .safetensors; `to_a=PATH` names the network that a file fills where it could be several.  The
    layout is recognised by keys and shapes, or named by the official `class_name`; `entry` names one state dict of
    a file with several; `arguments` are the official constructor's, where the shapes do not determine them (what is
    assumed without them is said), of several files each for the classes that have it; `config` are fields of the
    model's Config, which only further training needs.  No code in a file is run.

    Returns the run folder.  Raises WeightsError naming the keys or shapes that do not fit, ModelError for a model
    without a known official layout, and RunError where the run folder exists.
    """
    # Recognise the files.
    paths = [files] if isinstance(files, str | Path) else [*files]
    found = [recognise_file(file, model, class_name, entry, arguments or {}, len(paths) == 1) for file in paths]
    check_taken(arguments or {}, found)
    networks = [file.network for file in found]
    if not networks or len(set(networks)) < len(networks):
        raise OptionError(
            f"Each file must fill a network of its own, and these would fill {', '.join(networks) or 'none'}: name "
            "them, NETWORK=FILE."
        )
    # Build the game and load the weights.
    catalogue_entry = find(model)
    path = choose_run_folder(out, model, found[0].path)
    settings = {**merge_settings(found, "config"), **(config or {})}
    size = paper_preset(catalogue_entry).run.size
    facts = {"height": size[0], "width": size[-1], **merge_settings(found, "facts")}
    tokeniser = next((own for file in found if (own := file.adapter.tokeniser())), None)
    game, loaded = build_imported_game(catalogue_entry, settings, facts, tokeniser)
    for file in found:
        try:
            getattr(game, file.network).load_state_dict(file.adapter.weights())
        except RuntimeError as error:
            raise OptionError(
                f"With these settings {file.network} is not that of {file.path}: leave out settings that shape it."
            ) from error
        say(f"{file.path} is {type(file.adapter).__name__}: it becomes {file.place}.")
        if file.assumed:
            words = ", ".join(f"{name}={value}" for name, value in file.assumed.items())
            say(f"Assumed, as its shapes do not show it: {words}. Say otherwise with --set NAME=VALUE.")
    others = [name for name, part in game.named_children() if name not in networks and [*part.parameters()]]
    untrained = [name for name in others if name not in loaded]
    if untrained:
        say(f"Not in the file, so untrained: {', '.join(untrained)}.")
    return save_run(path, catalogue_entry, game, found, loaded, parts.find_tokeniser(game.config, loaded) or tokeniser)


def recognise_file(
    file: str | Path, model: str, class_name: str, entry: str, arguments: Mapping[str, Any], alone: bool
) -> RecognisedFile:
    """Load a file into the adapter whose layout it has.

    `alone`: the arguments are meant for it; else each may be meant for another file (see `check_taken`).
    """
    network, path = parse_file_argument(file, model)
    kinds = {
        kind: {name: value for name, value in arguments.items() if alone or takes(kind, name)}
        for kind in candidate_classes(model, network, class_name)
    }
    usual = [kind.entry for kind in kinds if kind.entry]
    state = official.bare(official.read(path, entry or None, usual))
    official.check_values(state, path)
    fits, misses = try_classes(kinds, state)
    if not fits and (inner := official.without_prefix(state)):  # `generator.` before every key
        fits, others = try_classes(kinds, inner)
        if fits or max(others) > max(misses):
            state, misses = inner, others
    if not fits:
        raise WeightsError(describe_mismatch(path, model, state, [text for _, text in sorted(misses, reverse=True)]))
    if len(fits) > 1:
        raise OptionError(f"{path} could be {' or '.join(kind.__name__ for kind in fits)}: name one with --class.")
    ((kind, adapter),) = fits.items()
    place = next(p for p in kind.fills if p.startswith(f"{model}.") and p.endswith(f".{network}" if network else ""))
    own = kind.select(state)
    complete = kind.complete(own, kinds[kind])
    assumed = {name: complete[name] for name in kind.assumed(own, kinds[kind])}
    return RecognisedFile(path, place, adapter, *kind.game(place, **complete), assumed)


def takes(kind: type[Adapter], name: str) -> bool:
    """Whether the constructor of an official class has an argument of that name."""
    return name in inspect.signature(kind).parameters


def check_taken(arguments: Mapping[str, Any], found: Sequence[RecognisedFile]) -> None:
    """Raise OptionError for an argument that the class of no file has."""
    kinds = [type(file.adapter) for file in found]
    for name in arguments:
        if not any(takes(kind, name) for kind in kinds):
            there = ", ".join(dict.fromkeys(kind.__name__ for kind in kinds))
            raise OptionError(f"--set: no class of these files ({there}) has an argument {name}.")


def parse_file_argument(file: str | Path, model: str) -> tuple[str, Path]:
    """Split `NETWORK=PATH` into (network, path); the network is empty for `PATH`."""
    network, equals, path = str(file).partition("=")
    if equals and network in {place.partition(".")[2] for kind in importable_classes(model) for place in kind.fills}:
        return network, Path(path)
    return "", Path(file)


def importable_classes(model: str = "") -> list[type[Adapter]]:
    """Every official class that can fill a network of `model`, or of any model."""
    kinds = dict.fromkeys(kind for system in official.systems() for kind in official.classes(system))
    return [kind for kind in kinds if any(place.startswith(f"{model}.") or not model for place in kind.fills)]


def candidate_classes(model: str, network: str, class_name: str) -> list[type[Adapter]]:
    """The official classes that a file may hold.  Raises ModelError naming the known ones where none matches."""
    kinds = importable_classes(model)
    if not kinds:
        find(model)  # raises ModelError for an unknown name
        known = sorted({place.partition(".")[0] for kind in importable_classes() for place in kind.fills})
        raise ModelError(f"No official layout is known for {model}; weights can be imported as {', '.join(known)}.")
    if network:
        kinds = [kind for kind in kinds if f"{model}.{network}" in kind.fills]
    if class_name:
        matching = [kind for kind in kinds if class_name in (kind.__name__, *kind.called)]
        if not matching:
            known = dict.fromkeys(name for kind in kinds for name in kind.called or (kind.__name__,))
            raise ModelError(f"No official class {class_name!r} is known for {model}; there are {', '.join(known)}.")
        kinds = matching
    return kinds


def try_classes(
    kinds: Mapping[type[Adapter], Mapping[str, Any]], state: State
) -> tuple[dict[type[Adapter], Adapter], list[tuple[int, str]]]:
    """The classes, each with its arguments, that these weights fit, and for the others what `try_class` says."""
    results = {kind: try_class(kind, state, arguments) for kind, arguments in kinds.items()}
    fits = {kind: result for kind, result in results.items() if isinstance(result, Adapter)}
    return fits, [result for result in results.values() if not isinstance(result, Adapter)]


def try_class(kind: type[Adapter], state: State, arguments: Mapping[str, Any]) -> Adapter | tuple[int, str]:
    """The class with these weights; or the number of keys it shares with them, and what does not fit."""
    shared, beside = 0, {name: state[name] for name in kind.beside if name in state}
    state = kind.select(state)
    try:
        adapter = kind(**kind.complete(state, arguments))
        shared = len({*adapter.state_dict()} & {*state})
        official.load(adapter, state).eval()
        adapter.take(beside)
        return adapter
    except GANForgeError as error:
        why = str(error)
    except KeyError as error:
        why = f"it has no {error.args[0]}."
    except TypeError as error:
        why = f"{error}."
    except (ValueError, IndexError, StopIteration, RuntimeError):
        why = "its tensors have other shapes."
    return shared, f"{kind.__name__} ({kind.__module__.rpartition('.')[2]}): {why}"


def describe_mismatch(path: Path, model: str, state: State, misses: Sequence[str]) -> str:
    """The error message for a file that has none of the layouts."""
    first = ", ".join(f"{key} {tuple(value.shape)}" for key, value in [*state.items()][:2])
    if len(misses) == 1:
        return f"{path}, which begins with {first}, does not fit {misses[0]}"
    return (
        f"{path}, which begins with {first}, fits none of the {len(misses)} layouts known for {model}; the nearest is "
        f"{misses[0]}"
    )


def merge_settings(found: Sequence[RecognisedFile], what: Literal["config", "facts"]) -> dict[str, Any]:
    """The settings of all files together.  Raises WeightsError where two files contradict each other."""
    merged: dict[str, Any] = {}
    for file in found:
        for name, value in getattr(file, what).items():
            if merged.setdefault(name, value) != value:
                raise WeightsError(f"{file.path} needs {name} {value}, another of these files {merged[name]}.")
    return merged


def build_imported_game(
    model: Model, config: Mapping[str, Any], facts: Mapping[str, Any], tokeniser: Tokeniser | None
) -> tuple[Game[Any, Any], dict[str, Trained]]:
    """The game with the paper's settings, changed by these, and its parts, whose tokeniser becomes the run's.

    Raises ModelError where a part is needed and not named.
    """
    try:
        settings = from_plain(model.game.Config, {**to_plain(paper_preset(model).config), **config})
    except OptionError as error:
        raise OptionError(f"--config: {error}") from error
    check_config(settings)
    parts.refuse_missing(model, settings)
    loaded = parts.resolve(settings, load_part, model.name)
    if reads := parts.find_tokeniser(settings, loaded) or tokeniser:
        facts = {**facts, "vocabulary": reads.size, "caption_length": reads.length, "tokeniser": reads.hash}
    try:
        return build_game(model, settings, from_plain(Facts, facts), 0, loaded), loaded
    except (RuntimeError, ValueError, TypeError, ZeroDivisionError, OverflowError, AttributeError) as error:
        problem = " ".join(str(error).split())[:200]
        raise OptionError(f"{model.name} cannot be built with these settings ({problem}): check --config.") from error


def paper_preset(model: Model) -> Preset:
    """The preset `paper`, or the first."""
    return model.presets.get("paper") or next(iter(model.presets.values()))


def choose_run_folder(out: str | Path, model: str, file: Path) -> Path:
    """The path of the new run folder.  Raises RunError where it exists and is not empty."""
    path = Path(out) if str(out) else Path("runs") / f"{model}-{file.stem}"
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} is not empty: choose another folder with -o.")
    return path


def save_run(
    path: Path,
    model: Model,
    game: Game[Any, Any],
    found: Sequence[RecognisedFile],
    loaded: Mapping[str, Trained],
    tokeniser: Tokeniser | None,
) -> Path:
    """Write the run folder, with its parts and its tokeniser, and its first checkpoint."""
    sides = tuple(dict.fromkeys((game.facts.height, game.facts.width)))
    run = replace(paper_preset(model).run, ema=0.0, size=sides, channels=game.facts.channels)
    origin = {
        file.network: {"file": str(file.path), "class": type(file.adapter).__name__, "sha256": sha256(file.path)}
        for file in found
    }
    run_config = RunConfig(
        model=model.name,
        preset="imported",
        config=to_plain(game.config),
        run=to_plain(run),
        facts=to_plain(game.facts),
        data={"asked": "", "images": 0, "fingerprint": "", "imported": origin},
        parts=(records := parts.describe_parts(loaded, link=False)),
        versions=versions(),
    )
    try:
        (path / "samples").mkdir(parents=True)
    except OSError as error:
        raise RunError(f"The run folder {path} cannot be made ({error.strerror}): choose another with -o.") from error
    folder = RunFolder(path)
    try:
        parts.copy_parts(folder, loaded, records)
        tokeniser.save(path / FILE) if tokeniser else None
        folder.rewrite(run_config)
        Engine(game, run, NoData(), folder.checkpoints()).save()
    except BaseException:  # what cannot be saved leaves no run behind; the folder was empty before
        shutil.rmtree(path, ignore_errors=True)
        raise
    return path
