"""Weights that others trained become runs.

What a file of others is, its adapter knows (official/): which keys it has, which arguments its shapes tell, which
network of which game it becomes.  Here is only what is the same for all of them.
"""

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
from ganforge.inference.load import built
from ganforge.official import Adapter, State
from ganforge.run import Preset
from ganforge.runs.folder import RunConfig, RunFolder, versions
from ganforge.serialize import from_plain, to_plain


@dataclass(frozen=True)
class Found:
    """A file of others, recognised."""

    path: Path
    place: str
    """The network that it becomes, `cyclegan.to_b`."""
    adapter: Adapter
    """Loaded."""
    config: Mapping[str, Any]
    facts: Mapping[str, Any]

    @property
    def network(self) -> str:
        """Its name in the game."""
        return self.place.partition(".")[2]


class NoData:
    """The deck of a game that came ready."""

    count = 0

    def batch(self, number: int, share: int, shares: int) -> Any:
        raise RunError("This run was imported and has no data yet: name some with --data.")


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
    """Make a run of weights that others trained: `import_weights("latest_net_G.pth", "pix2pix", "runs/facades")`.

    `files` are .pth or .safetensors; `to_a=PATH` says which network a file becomes where it could be several.  The
    layout is recognised by keys and shapes, or named by the official `class_name`; `entry` names one state dict of
    a file with several; `arguments` are the official constructor's, where the shapes do not tell; `config` are
    settings of ours, which only training on needs.  No code in a file is run.  Returns the run folder.

    Raises WeightsError naming the keys or shapes that do not fit, and ModelError for a model nothing is known of.
    """
    several = [files] if isinstance(files, str | Path) else [*files]
    found = [recognised(file, model, class_name, entry, arguments or {}) for file in several]
    networks = [one.network for one in found]
    if not networks or len(set(networks)) < len(networks):
        raise OptionError(
            f"Each file becomes a network of its own, and these would be {', '.join(networks) or 'none'}: name them, "
            "NETWORK=FILE."
        )
    chosen = find(model)
    path = run_folder(out, model, found[0].path)
    settings = {**together(found, "config"), **(config or {})}
    size = paper(chosen).run.size
    facts = {"height": size[0], "width": size[-1], **together(found, "facts")}
    game = game_of(chosen, settings, facts)
    for one in found:
        try:
            getattr(game, one.network).load_state_dict(one.adapter.weights())
        except RuntimeError as error:
            raise OptionError(
                f"These settings build another {one.network} than that of {one.path}: leave out what shapes it."
            ) from error
        say(f"{one.path} is {type(one.adapter).__name__}: it becomes {one.place}.")
    left = [name for name, part in game.named_children() if name not in networks and [*part.parameters()]]
    if left:
        say(f"Not in the file, so untrained: {', '.join(left)}.")
    return kept(path, chosen, game, found)


def recognised(file: str | Path, model: str, class_name: str, entry: str, given: Mapping[str, Any]) -> Found:
    """The file, loaded into the adapter whose layout it has."""
    network, path = named(file, model)
    kinds = candidates(model, network, class_name)
    state = official.bare(official.read(path, entry or None))
    fits, misses = dict[type[Adapter], Adapter](), list[tuple[int, str]]()
    for kind in kinds:
        tried = attempt(kind, state, given)
        if isinstance(tried, Adapter):
            fits[kind] = tried
        else:
            misses.append(tried)
    if not fits:
        raise WeightsError(unfit(path, model, state, [text for _, text in sorted(misses, reverse=True)]))
    if len(fits) > 1:
        raise OptionError(f"{path} could be {' or '.join(kind.__name__ for kind in fits)}: name one with --class.")
    ((kind, adapter),) = fits.items()
    place = next(p for p in kind.fills if p.startswith(f"{model}.") and p.endswith(f".{network}" if network else ""))
    config, facts = kind.game(place, **{**kind.arguments(state), **given})
    return Found(path, place, adapter, config, facts)


def named(file: str | Path, model: str) -> tuple[str, Path]:
    """(the network asked for, the path) of `PATH` or `NETWORK=PATH`."""
    network, equals, path = str(file).partition("=")
    if equals and network in {place.partition(".")[2] for kind in importable(model) for place in kind.fills}:
        return network, Path(path)
    return "", Path(file)


def importable(model: str = "") -> list[type[Adapter]]:
    """Every official class that can become a network of `model`, or of any."""
    kinds = dict.fromkeys(kind for system in official.systems() for kind in official.classes(system))
    return [kind for kind in kinds if any(place.startswith(f"{model}.") or not model for place in kind.fills)]


def candidates(model: str, network: str, class_name: str) -> list[type[Adapter]]:
    """The classes that a file may be of.  Raises ModelError naming what there is."""
    kinds = importable(model)
    if not kinds:
        find(model)  # for its sentence about a name that is none
        known = sorted({place.partition(".")[0] for kind in importable() for place in kind.fills})
        raise ModelError(f"Of {model} no official layout is known; weights can be imported as {', '.join(known)}.")
    if network:
        kinds = [kind for kind in kinds if f"{model}.{network}" in kind.fills]
    if class_name:
        wanted = [kind for kind in kinds if class_name in (kind.__name__, *kind.called)]
        if not wanted:
            there = dict.fromkeys(name for kind in kinds for name in kind.called or (kind.__name__,))
            raise ModelError(f"As {model} no class {class_name!r} is known; there are {', '.join(there)}.")
        kinds = wanted
    return kinds


def attempt(kind: type[Adapter], state: State, given: Mapping[str, Any]) -> Adapter | tuple[int, str]:
    """The class with these weights; or how many keys it shares with them, and what does not fit."""
    shared = 0
    try:
        adapter = kind(**{**kind.arguments(state), **given})
        shared = len({*adapter.state_dict()} & {*state})
        return official.load(adapter, state).eval()
    except GANForgeError as error:
        why = str(error)
    except KeyError as error:
        why = f"it has no {error.args[0]}."
    except TypeError as error:
        why = f"{error}."
    except (ValueError, IndexError, StopIteration, RuntimeError):
        why = "its tensors have other shapes."
    return shared, f"{kind.__name__} ({kind.__module__.rpartition('.')[2]}): {why}"


def unfit(path: Path, model: str, state: State, misses: Sequence[str]) -> str:
    """The sentence about a file that is none of the layouts."""
    first = ", ".join(f"{key} {tuple(value.shape)}" for key, value in [*state.items()][:2])
    many = f" none of the {len(misses)} layouts known of {model}; the nearest is" if len(misses) > 1 else ""
    return f"{path}, which begins with {first}, fits{many or ' not'} {misses[0]}"


def together(found: Sequence[Found], what: Literal["config", "facts"]) -> dict[str, Any]:
    """The settings of all files.  Raises WeightsError where two contradict each other."""
    merged: dict[str, Any] = {}
    for one in found:
        for name, value in getattr(one, what).items():
            if merged.setdefault(name, value) != value:
                raise WeightsError(f"{one.path} needs {name} {value}, another of these files {merged[name]}.")
    return merged


def game_of(model: Model, config: Mapping[str, Any], facts: Mapping[str, Any]) -> Game[Any, Any]:
    """The game with the paper's settings but these."""
    settings = from_plain(model.game.Config, {**to_plain(paper(model).config), **config})
    return built(model, settings, from_plain(Facts, facts), 0, {})


def paper(model: Model) -> Preset:
    """The preset of the paper, or the first."""
    return model.presets.get("paper") or next(iter(model.presets.values()))


def run_folder(out: str | Path, model: str, file: Path) -> Path:
    """Where the run will be.  Raises RunError when something is there."""
    path = Path(out) if str(out) else Path("runs") / f"{model}-{file.stem}"
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise RunError(f"{path} is not empty: choose another folder with -o.")
    return path


def kept(path: Path, model: Model, game: Game[Any, Any], found: Sequence[Found]) -> Path:
    """Write the run folder and its first checkpoint."""
    sides = tuple(dict.fromkeys((game.facts.height, game.facts.width)))
    run = replace(paper(model).run, ema=0.0, size=sides, channels=game.facts.channels)
    origin = {
        one.network: {"file": str(one.path), "class": type(one.adapter).__name__, "sha256": sha256(one.path)}
        for one in found
    }
    card = RunConfig(
        model=model.name,
        preset="imported",
        config=to_plain(game.config),
        run=to_plain(run),
        facts=to_plain(game.facts),
        data={"asked": "", "images": 0, "fingerprint": "", "imported": origin},
        versions=versions(),
    )
    try:
        (path / "samples").mkdir(parents=True)
    except OSError as error:
        raise RunError(f"No run folder can be made at {path} ({error.strerror}): choose another with -o.") from error
    folder = RunFolder(path)
    folder.rewrite(card)
    Engine(game, run, NoData(), folder.checkpoints()).save()
    return path
