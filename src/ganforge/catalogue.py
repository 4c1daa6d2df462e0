"""Find models by the name of their file: `dcgan` is ganforge/models/dcgan.py; a path is that file.

A model of several files is a folder of its name, whose `__init__.py` holds the Game and the presets.
"""

import ast
import difflib
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

from ganforge.errors import ContractError, ModelError
from ganforge.run import Preset

if TYPE_CHECKING:
    from ganforge.batches import Facts
    from ganforge.game import Game, Part

FOLDER = Path(__file__).parent / "models"
ALIAS = "ganforge_own_"  # begins the module names of users' own models
CODE = (".py", ".pyc", *importlib.machinery.EXTENSION_SUFFIXES)
MOST_FILES = 2_000  # of one model of a user's own


@dataclass(frozen=True)
class Model:
    """A model of the package, or of a user's own file."""

    name: str
    game: "type[Game[Any, Any]]"
    presets: Mapping[str, Preset]
    about: str
    """The docstring of its file."""
    files: Mapping[str, bytes] = field(default_factory=dict)
    """{path within its folder: text that was run} of a user's own file and of the modules beside it."""

    def preset(self, name: str) -> Preset:
        """The preset of that name; a file without presets has only `small`, the defaults of its Config.

        Raises ModelError naming the presets.
        """
        if name not in self.presets:
            raise ModelError(f"{self.name} has no preset {name!r}; it has {', '.join(self.presets)}.")
        return self.presets[name]


def names() -> list[str]:
    """Names of all models of the package.  Imports none of them."""
    files = [*FOLDER.glob("*.py"), *(path.parent for path in FOLDER.glob("*/__init__.py"))]
    return sorted(path.stem for path in files if not path.stem.startswith("_"))


def able(*verbs: str) -> str:
    """The names of the package's models that can do all of something, as a sentence lists them; imports them all."""
    from ganforge.capabilities import offers

    games = {name: find(name).game for name in names()}
    return ", ".join(name for name, game in games.items() if all(offers(game, verb) for verb in verbs)) or "none"


def file_of(name: str) -> Path:
    """The file of a model of the package that holds its Game."""
    folder = FOLDER / name
    return folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")


def headline(name: str) -> str:
    """The first line of a model's docstring, read without importing it."""
    tree = ast.parse(file_of(name).read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or name).splitlines()[0]


def find(name: str, files: Mapping[str, bytes] | None = None) -> Model:
    """The model of that name, or in that file, whose code is run.  Raises ModelError with the nearest names.

    `files` are the contents that are run instead of what lies on the disk now (see `own_files`).
    """
    own = is_own(name)
    files = (own_files(Path(name)) if files is None else files) if own else {}
    module = import_file(Path(name), files) if own else import_packaged(name)
    from ganforge.game import Game  # after the module: it has imported torch anyway

    games = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    games = [c for c in games if issubclass(c, Game)]
    if len(games) != 1:
        raise ContractError(f"{name} must define exactly one Game; it defines {len(games)}.")
    game = games[0]
    presets = getattr(module, "presets", None) or {"small": Preset(game.Config(), default_run())}
    return Model(str(Path(name).resolve()) if own else name, game, presets, inspect.getdoc(module) or "", files)


def part_models(part: "Part", model: str) -> tuple[str, ...]:
    """The models that a part of `model` may be of; files of a user's own as paths, found beside the model's file."""
    place = Path(model).parent
    return tuple(str((place / name).resolve()) if is_own(name) else name for name in part.models)


def find_part_model(model: Model, name: str, part: "Part") -> Model:
    """The model that is built or trained for a part that `model` needs: the first that the part may be of.

    Raises ContractError for a part of any model.
    """
    if not part.models:
        raise ContractError(
            f"The part {name!r} of {model.name} is needed, and of any model: name a run with "
            f"--config.{name.replace('_', '-')}, or one in the model's file, Part('dcgan|*')."
        )
    return find(part_models(part, model.name)[0])


def part_preset(part: Model, preset: str) -> str:
    """The preset of a part beside that of the run: of the same name, else the longest that begins it, else `small`.

    Not one that is built on the part's own model: a run of stackgan's `paper-stage-2` is built on one of `paper`.
    """
    from ganforge.game import missing_parts

    def is_last(name: str) -> bool:
        return any(part.name in needed.models for needed in missing_parts(part.presets[name].config).values())

    known = [name for name in part.presets if preset == name or preset.startswith(f"{name}-")]
    return max((name for name in known if not is_last(name)), key=len, default="small")


def build_stand_ins(
    model: Model,
    config: Any,
    facts: "Facts",
    known: "Mapping[str, Game[Any, Any]] | None" = None,
    preset: str = "tiny",
) -> "dict[str, Game[Any, Any]]":
    """{field: an untrained game} for the parts that a Config needs and does not name: the preset tiny of their models.

    Where a part may have another size than the run, it has the size of the part's preset beside the run's `preset`.
    Parts of parts that have a name in `known` are those.  Raises ContractError for a needed part of any model.
    """
    from ganforge.game import missing_parts, rest

    made = dict(known or {})
    for name, part in missing_parts(config).items():
        other = find_part_model(model, name, part)
        if name in made:
            continue
        settings = other.presets["tiny" if "tiny" in other.presets else "small"].config
        settings = replace(settings, **dict(part.having))
        size = other.presets[part_preset(other, preset)].run.size
        sides = dict(zip(("height", "width"), (size[0], size[-1]), strict=True)) if size else {}
        own = replace(facts, **{side: pixels for side, pixels in sides.items() if side in part.free})
        inner = build_stand_ins(other, settings, own, made, preset)
        made[name] = rest(other.game(settings, own, **inner), inner).eval()
    return {name: made[name] for name in missing_parts(config)}


def default_run() -> Any:
    """The Run of a model file without presets."""
    from ganforge.run import Run

    return Run()


def import_packaged(name: str) -> ModuleType:
    """Import a model of the package.  Raises ModelError with the nearest names."""
    if name not in names():
        near = difflib.get_close_matches(name, names(), 3, 0.4)
        hint = f"Did you mean {' or '.join(near)}?" if near else f"There are {', '.join(names())}."
        raise ModelError(f"There is no model {name!r}. {hint} A file of your own is named by its path, ./mine.py.")
    return importlib.import_module(f"ganforge.models.{name}")


def is_own(name: str) -> bool:
    """Whether a model's name is the path of a user's own file."""
    return name.endswith(".py")


def import_file(path: Path, files: Mapping[str, bytes]) -> ModuleType:
    """Import a user's own file as a module; one module per path and content.  Raises ModelError where that fails.

    Only the text of the file and of the modules beside it is run, never bytecode that lies in __pycache__.
    """
    content = b"".join(name.encode() + hashlib.sha256(text).digest() for name, text in sorted(files.items()))
    alias = f"{ALIAS}{path.stem}_{hashlib.sha256(content + str(path.resolve()).encode()).hexdigest()[:12]}"
    if alias in sys.modules:
        return sys.modules[alias]
    ModulesBeside.add(path.parent, files)
    loader = SourceLoader(alias, str(path), files[path.name])
    spec = importlib.util.spec_from_file_location(alias, path, loader=loader)
    if spec is None:
        raise ModelError(f"{path} is not a Python file.")
    module = sys.modules[alias] = importlib.util.module_from_spec(spec)  # dataclasses look their module up there
    try:
        loader.exec_module(module)
    except Exception as error:
        del sys.modules[alias]
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ModelError(f"{path} cannot be imported{where}: {type(error).__name__}: {error}") from error
    return module


class SourceLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from a text that was read before, without looking for bytecode."""

    def __init__(self, name: str, path: str, text: bytes) -> None:
        super().__init__(name, path)
        self.text = text

    def get_code(self, fullname: str) -> CodeType:
        """The compiled text."""
        return self.source_to_code(self.text, self.path)


class ModulesBeside(importlib.abc.MetaPathFinder):
    """Finds the modules that lie beside a user's model, from the texts that were read with it.

    One name is one module of a process: the last model that has a file of it.  Earlier models keep the modules that
    they imported then.
    """

    found: dict[str, tuple[Path, bytes]] = {}  # noqa: RUF012 - {path without its ending: (path, text)}, of the process

    @classmethod
    def add(cls, folder: Path, files: Mapping[str, bytes]) -> None:
        """Let `import` find these files of a folder, and forget modules of other texts under their names."""
        texts = {str(folder / name): text for name, text in files.items()}
        for name, module in [*sys.modules.items()]:
            loader = getattr(module, "__loader__", None)
            if not isinstance(loader, SourceLoader) or name.startswith(ALIAS):
                continue
            if texts.get(loader.path) != loader.text:
                del sys.modules[name]
        cls.found |= {name.removesuffix(".py"): (folder / name, text) for name, text in files.items()}
        if not any(isinstance(finder, cls) for finder in sys.meta_path):
            sys.meta_path.insert(0, cls())

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The module of that name beside a model; None for others."""
        stem = fullname.replace(".", "/")
        if fullname.partition(".")[0] in sys.stdlib_module_names:
            return None
        for place in (f"{stem}/__init__", stem):
            if place in self.found and self.found[place][0].suffix == ".py":
                file, text = self.found[place]
                inside = [str(file.parent)] if place != stem else None
                loader = SourceLoader(fullname, str(file), text)
                return importlib.util.spec_from_file_location(
                    fullname, file, loader=loader, submodule_search_locations=inside
                )
        return None


def own_files(path: Path) -> dict[str, bytes]:
    """{path within its folder: content} of a user's model file and of all code beside it that it imports.

    Modules count that are imported by a statement or named by a text in the code, in any of the files; of a package
    every file.  Raises ModelError where a file cannot be read.
    """
    if not path.is_file():
        raise ModelError(f"There is no file {path}.")
    found: dict[str, bytes] = {}
    waiting = [path.name]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if len(found) == MOST_FILES:
            raise ModelError(f"{path} imports more than {MOST_FILES} files beside it: install them as a package.")
        try:
            found[name] = (path.parent / name).read_bytes()
        except OSError as error:
            raise ModelError(f"{path.parent / name} cannot be read ({error.strerror}).") from error
        if name.endswith(".py"):
            for module in sorted(imported_modules(found[name], Path(name).parent.parts)):
                waiting += code_of(path.parent, module)
    return found


def imported_modules(text: bytes, package: tuple[str, ...]) -> set[str]:
    """Dotted names of all modules that a file of a package may import; of none that cannot be parsed."""
    names = set[str]()
    try:
        nodes = [*ast.walk(ast.parse(text))]
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return names
    for node in nodes:
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parent = package[: len(package) - node.level + 1] if node.level else ()
            origin = ".".join([*parent, *([node.module] if node.module else [])])
            names |= {origin, *(f"{origin}.{alias.name}".lstrip(".") for alias in node.names)}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) < 200:
            names.add(node.value)  # importlib.import_module("helper")
    return {name for name in names if all(part.isidentifier() for part in name.split("."))}


def code_of(folder: Path, module: str) -> Iterator[str]:
    """The files of a folder that are run when a module is imported, as paths within it; none for modules elsewhere."""
    parts = module.split(".")
    place = folder / parts[0]
    if place.is_dir():
        code = sorted(file for file in place.rglob("*") if file.name.endswith(CODE) and file.is_file())
        if any(file.parent == place for file in code):
            yield from (f.relative_to(folder).as_posix() for f in code if "__pycache__" not in f.parts)
    yield from (f"{parts[0]}{ending}" for ending in CODE if (folder / f"{parts[0]}{ending}").is_file())


def list() -> dict[str, str]:  # the command's name; nothing here uses the builtin
    """{name: headline} of every model."""
    return {name: headline(name) for name in names()}
