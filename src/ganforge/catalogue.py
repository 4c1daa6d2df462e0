"""Find models by the name of their file: `dcgan` is ganforge/models/dcgan.py; a path is that file."""

import ast
import difflib
import hashlib
import importlib
import importlib.util
import inspect
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ganforge.errors import ContractError, ModelError
from ganforge.run import Preset

if TYPE_CHECKING:
    from ganforge.game import Game

FOLDER = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Model:
    """A model of the package, or of a user's own file."""

    name: str
    game: "type[Game[Any, Any]]"
    presets: Mapping[str, Preset]
    about: str
    """The docstring of its file."""

    def preset(self, name: str) -> Preset:
        """The preset of that name; a file without presets has only `small`, the defaults of its Config.

        Raises ModelError naming the presets.
        """
        if name not in self.presets:
            raise ModelError(f"{self.name} has no preset {name!r}; it has {', '.join(self.presets)}.")
        return self.presets[name]


def names() -> list[str]:
    """Names of all models of the package.  Imports none of them."""
    return sorted(p.stem for p in FOLDER.glob("*.py") if not p.stem.startswith("_"))


def headline(name: str) -> str:
    """The first line of a model's docstring, read without importing it."""
    tree = ast.parse((FOLDER / f"{name}.py").read_text(encoding="utf-8"))
    return (ast.get_docstring(tree) or name).splitlines()[0]


def find(name: str) -> Model:
    """The model of that name, or in that file.  Raises ModelError with the nearest names."""
    own = name.endswith(".py")
    module = import_file(Path(name)) if own else import_packaged(name)
    from ganforge.game import Game  # after the module: it has imported torch anyway

    games = [c for _, c in inspect.getmembers(module, inspect.isclass) if c.__module__ == module.__name__]
    games = [c for c in games if issubclass(c, Game)]
    if len(games) != 1:
        raise ContractError(f"{name} must define exactly one Game; it defines {len(games)}.")
    game = games[0]
    presets = getattr(module, "presets", None) or {"small": Preset(game.Config(), default_run())}
    return Model(str(Path(name).resolve()) if own else name, game, presets, inspect.getdoc(module) or "")


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


def import_file(path: Path) -> ModuleType:
    """Import a user's own file as a module; one module per path and content.  Raises ModelError where that fails."""
    if not path.is_file():
        raise ModelError(f"There is no file {path}.")
    source = path.read_bytes()
    alias = f"ganforge_own_{path.stem}_{hashlib.sha256(source + str(path.resolve()).encode()).hexdigest()[:12]}"
    if alias in sys.modules:
        return sys.modules[alias]
    spec = importlib.util.spec_from_file_location(alias, path)
    if spec is None or spec.loader is None:
        raise ModelError(f"{path} is not a Python file.")
    module = sys.modules[alias] = importlib.util.module_from_spec(spec)  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[alias]
        where = f" (line {error.lineno})" if isinstance(error, SyntaxError) else ""
        raise ModelError(f"{path} cannot be imported{where}: {type(error).__name__}: {error}") from error
    return module


def list() -> dict[str, str]:  # the command's name; nothing here uses the builtin
    """{name: headline} of every model."""
    return {name: headline(name) for name in names()}
