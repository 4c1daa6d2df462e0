"""The layers and budgets of docs/design.md: which room may import which, and how long files and functions may be.

A rule reads the sources of a package and returns its violations, `file:line what is wrong`.  Every rule is checked
against GANForge itself, and against a small package that breaks it.
"""

import ast
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "src" / "ganforge"
Rule = Callable[[Path], list[str]]

LAYERS = """
errors version
run console batches
capabilities
draw files serialize distributed system nn
game images text
models data catalogue tracing
runs official explainer
engine inference metrics
callbacks interop
evaluation lab
training human_study
reproduction tuning studio
__init__ cli
__main__
"""
"""Rooms from the lowest layer to the highest: an import goes to a lower layer, or stays in its room."""

ROOM_OF = {room: number for number, layer in enumerate(LAYERS.split("\n")) for room in layer.split()}
ROOT_MODULES = 16
ADAPTED = {"lostgans": "lostgan", "anogan": "f_anogan"}
"""{file of official/, named as its repository is: the model that it adapts}, where the names differ."""


@dataclass(frozen=True)
class Import:
    """One imported name: where, and its full dotted path (`ganforge.nn.maxout.Maxout`, `torch.Tensor`)."""

    file: str
    line: int
    name: str
    target: str
    """The file of the package that it imports (`nn/maxout.py`); empty for a library."""

    @property
    def room(self) -> str:
        """`nn` of `ganforge.nn.maxout`; empty for a library."""
        return room_of(self.target) if self.target else ""

    @property
    def library(self) -> str:
        """`torch` of `torch.nn`; empty for the package itself and the standard library."""
        package = self.name.partition(".")[0]
        return "" if package == "ganforge" or package in sys.stdlib_module_names else package

    def violation(self, rule: str) -> str:
        return f"{self.file}:{self.line} imports {self.name}: {rule}"


def room_of(file: str) -> str:
    """The room of a file: its folder at the root, or its own name there."""
    return Path(file).with_suffix("").parts[0]


def sources(package: Path, room: str = "") -> Iterator[tuple[str, str]]:
    """(path within the package, text) of every file of a room; of all without a room."""
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package).as_posix()
        if not room or room_of(inside) == room:
            yield inside, path.read_text(encoding="utf-8")


def imports(package: Path, room: str = "") -> list[Import]:
    """All imports, those inside functions and under TYPE_CHECKING too."""
    return [found for found in all_imports(package) if not room or room_of(found.file) == room]


@cache
def all_imports(package: Path) -> list[Import]:
    found = []
    for file, text in sources(package):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                parent = ("ganforge", *Path(file).parts)[: -node.level] if node.level else ()
                origin = [*parent, *([node.module] if node.module else [])]
                names = [".".join([*origin, alias.name]) for alias in node.names]
            else:
                continue
            found += [Import(file, node.lineno, name, file_of(package, name)) for name in names]
    return found


def file_of(package: Path, name: str) -> str:
    """The file that defines a dotted name of the package; empty for a library."""
    first, *parts = name.split(".")
    if first != "ganforge":
        return ""
    for end in range(len(parts), -1, -1):
        stem = "/".join(parts[:end])
        for file in (f"{stem}.py", f"{stem}/__init__.py") if stem else ("__init__.py",):
            if (package / file).is_file():
                return file
    return f"{parts[0]}.py" if parts else "__init__.py"  # a small package of this test that lacks the file


def outside(package: Path, room: str, allowed: str, rule: str) -> list[str]:
    """Imports in `room` of a room that is not among the `allowed`."""
    return [i.violation(rule) for i in imports(package, room) if i.room and i.room not in allowed.split()]


def may_differ(found: Import) -> bool:
    """The two exceptions: the catalogue finds models by file name, official/NAME adapts models/NAME."""
    if found.room != "models":
        return False
    own = Path(found.file).stem
    return found.file == "catalogue.py" or (
        found.file.startswith("official/") and found.name.split(".")[2:3] == [ADAPTED.get(own, own)]
    )


# The imports ------------------------------------------------------------------------------------


def imports_go_down(package: Path) -> list[str]:
    violations = []
    for found in imports(package):
        own = room_of(found.file)
        if not found.room or found.room == own or may_differ(found):
            continue
        if own not in ROOM_OF or found.room not in ROOM_OF:
            violations.append(found.violation("this room stands in no layer"))
        elif ROOM_OF[found.room] >= ROOM_OF[own]:
            violations.append(found.violation(f"{own} stands below {found.room} or beside it"))
    return violations


def no_files_import_in_a_circle(package: Path) -> list[str]:
    targets: dict[str, set[str]] = {}
    lines: dict[tuple[str, str], int] = {}
    for found in imports(package):
        if found.target and found.target != found.file:
            targets.setdefault(found.file, set()).add(found.target)
            lines.setdefault((found.file, found.target), found.line)
    reached: dict[str, set[str]] = {}
    for file in targets:
        seen, waiting = set(), [file]
        while waiting:
            for target in targets.get(waiting.pop(), ()):
                if target not in seen:
                    seen.add(target)
                    waiting.append(target)
        reached[file] = seen
    return [
        f"{file}:{line} imports {target}, which imports {file} again"
        for (file, target), line in sorted(lines.items())
        if file in reached.get(target, ())
    ]


def nn_stands_on_torch(package: Path) -> list[str]:
    rule = "nn imports torch, errors and itself"
    strangers = [i.violation(rule) for i in imports(package, "nn") if i.library not in ("", "torch")]
    return strangers + outside(package, "nn", "nn errors", rule)


def a_model_knows_the_contract_and_nn(package: Path) -> list[str]:
    allowed = "game draw batches capabilities errors run nn"
    return outside(package, "models", allowed + " models", f"a model imports only {', '.join(allowed.split())}")


def a_model_knows_no_model(package: Path) -> list[str]:
    rule = "a model imports no model; what two share belongs in nn"
    return [
        i.violation(rule)
        for i in imports(package, "models")
        if i.room == "models" and i.name.split(".")[2:3] != [*Path(i.file).with_suffix("").parts[1:2]]
    ]


def the_engine_knows_no_paper(package: Path) -> list[str]:
    allowed = "engine game draw run batches runs distributed errors"
    rule = f"the engine imports only {', '.join(allowed.split())}"
    return [*outside(package, "engine", allowed + " nn models", rule), *engine_reaches_nn(package)]


def engine_reaches_nn(package: Path) -> Iterator[str]:
    """Imports of nn or models in the engine, also through one file of another room; augmentation alone has nn."""
    rule = "the engine reaches nn only through engine/augmentation.py, and no model"
    for found in imports(package, "engine"):
        if found.room == "models" or (found.room == "nn" and found.file != "engine/augmentation.py"):
            yield found.violation(rule)
        elif found.room not in ("", "engine", "nn"):
            beyond = [i for i in imports(package) if i.file == found.target and i.room in ("nn", "models")]
            yield from (found.violation(f"{i.name} comes with it: {rule}") for i in beyond)


def run_is_quick_to_import(package: Path) -> list[str]:
    rule = "run.py stays without torch, so that the command line answers at once"
    slow = [i.violation(rule) for i in imports(package, "run") if i.library]
    return slow + outside(package, "run", "errors", rule)


def only_the_catalogue_knows_models(package: Path) -> list[str]:
    rule = "only catalogue.py imports models, and official/NAME.py the one of its name"
    strangers = [i for i in imports(package) if i.room == "models" and room_of(i.file) != "models"]
    return [i.violation(rule) for i in strangers if not may_differ(i)]


def random_numbers_come_from_draw(package: Path) -> list[str]:
    """Games draw through `self.draw`: a global generator would break exact resume and seeded samples."""
    rule = "a model draws only through self.draw"
    found = [i.violation(rule) for i in imports(package, "models") if is_random(i.name)]
    for file, text in sources(package, "models"):
        spelled = ((n.lineno, ast.unparse(n)) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute))
        found += [f"{file}:{line} uses {name}: {rule}" for line, name in spelled if is_random(name)]
    return found


def is_random(name: str) -> bool:
    torch_draws = ("torch.rand", "torch.normal", "torch.bernoulli", "torch.multinomial", "torch.poisson")
    return name == "random" or name.startswith((*torch_draws, "random.")) or name in ("np.random", "numpy.random")


# The budgets ------------------------------------------------------------------------------------


def files_stay_short(package: Path) -> list[str]:
    budgets = {"models": 250, "engine": 450}
    violations = []
    for file, text in sources(package):
        lines, budget = len(text.splitlines()), budgets.get(room_of(file), 350)
        if lines > budget and room_of(file) != "official":
            violations.append(f"{file}:{lines} is its last line, and its budget is {budget}")
    return violations


def functions_stay_short(package: Path) -> list[str]:
    violations = []
    for file, text in sources(package):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    violations.append(f"{file}:{node.lineno} {node.name} has {lines} lines, and the budget is 60")
    return violations


def few_modules_stand_at_the_root(package: Path) -> list[str]:
    modules = sorted(path.name for path in package.glob("*.py"))
    return [f"{file}:1 is module {n} at the root" for n, file in enumerate(modules, 1) if n > ROOT_MODULES]


def no_file_is_named_for_nothing(package: Path) -> list[str]:
    drawers = {"utils", "util", "helpers", "misc", "common"}
    return [
        f"{file}:1 has a name that says nothing: name it for what it holds"
        for file, _ in sources(package)
        if drawers & set(Path(file).with_suffix("").parts)
    ]


# The tests --------------------------------------------------------------------------------------

LONG_FUNCTION = "def long():\n" + "    print()\n" * 60

# What each rule must find: (rule, {file: text}, file and line of the violation).
BREACHES: list[tuple[Rule, dict[str, str], str]] = [
    (imports_go_down, {"data/open.py": "from ganforge.engine import Engine"}, "data/open.py:1"),
    (imports_go_down, {"metrics/fid.py": "def late():\n    from ganforge.cli import run"}, "metrics/fid.py:2"),
    (imports_go_down, {"data/open.py": "from ganforge.catalogue import find"}, "data/open.py:1"),
    (
        imports_go_down,
        {"runs/folder.py": "if TYPE_CHECKING:\n    from ..training.plan import Plan", "training/plan.py": ""},
        "runs/folder.py:2",
    ),
    (imports_go_down, {"attic/box.py": "from ganforge.errors import DataError"}, "attic/box.py:1"),
    (nn_stands_on_torch, {"nn/layers.py": "import math\nimport torch\nimport numpy"}, "nn/layers.py:3"),
    (nn_stands_on_torch, {"nn/layers.py": "from ganforge.game import Move"}, "nn/layers.py:1"),
    (
        a_model_knows_the_contract_and_nn,
        {"models/dcgan.py": "import torch\n\nfrom ganforge.engine import Engine"},
        "models/dcgan.py:3",
    ),
    (a_model_knows_the_contract_and_nn, {"models/dcgan.py": "from ganforge import system"}, "models/dcgan.py:1"),
    (
        a_model_knows_the_contract_and_nn,
        {"models/dcgan.py": "def late():\n    import ganforge.cli"},
        "models/dcgan.py:2",
    ),
    (a_model_knows_no_model, {"models/wgan.py": "from ganforge.models.dcgan import Generator"}, "models/wgan.py:1"),
    (
        a_model_knows_no_model,
        {"models/spade/game.py": "from ganforge.models.pix2pix import Generator", "models/pix2pix.py": ""},
        "models/spade/game.py:1",
    ),
    (the_engine_knows_no_paper, {"engine/engine.py": "from ganforge.nn import losses"}, "engine/engine.py:1"),
    (the_engine_knows_no_paper, {"engine/ema.py": "def late():\n    from ..models import dcgan"}, "engine/ema.py:2"),
    (the_engine_knows_no_paper, {"engine/ema.py": "from ganforge.data import cache"}, "engine/ema.py:1"),
    (
        the_engine_knows_no_paper,
        {"engine/ema.py": "from ganforge.draw import Draw", "draw.py": "from ganforge.nn.losses import hinge"},
        "engine/ema.py:1",
    ),
    (run_is_quick_to_import, {"run.py": "from dataclasses import dataclass\nimport torch"}, "run.py:2"),
    (run_is_quick_to_import, {"run.py": "from ganforge.game import Game"}, "run.py:1"),
    (
        only_the_catalogue_knows_models,
        {"training/train.py": "def train():\n    import ganforge.models.dcgan"},
        "training/train.py:2",
    ),
    (
        only_the_catalogue_knows_models,
        {"official/wgan.py": "from ganforge.models.dcgan import Generator"},
        "official/wgan.py:1",
    ),
    (
        only_the_catalogue_knows_models,
        {"official/lostgans.py": "from ganforge.models.lostgan import a\nfrom ganforge.models.lostgans import b"},
        "official/lostgans.py:2",
    ),
    (
        random_numbers_come_from_draw,
        {"models/dcgan.py": "import torch\nz = torch.randn(2)"},
        "models/dcgan.py:2",
    ),
    (random_numbers_come_from_draw, {"models/dcgan.py": "from torch import rand_like"}, "models/dcgan.py:1"),
    (random_numbers_come_from_draw, {"models/dcgan.py": "import random"}, "models/dcgan.py:1"),
    (files_stay_short, {"models/dcgan.py": "\n" * 251}, "models/dcgan.py:251"),
    (files_stay_short, {"models/spade/game.py": "\n" * 251}, "models/spade/game.py:251"),
    (files_stay_short, {"engine/engine.py": "\n" * 451}, "engine/engine.py:451"),
    (files_stay_short, {"game.py": "\n" * 351}, "game.py:351"),
    (functions_stay_short, {"nn/layers.py": "import torch\n\n" + LONG_FUNCTION}, "nn/layers.py:3"),
    (functions_stay_short, {"cli/a.py": "class A:\n    async def b(self):\n" + "        print()\n" * 60}, "cli/a.py:2"),
    (few_modules_stand_at_the_root, {f"{letter}.py": "" for letter in "abcdefghijklmnopq"}, "q.py:1"),
    (no_file_is_named_for_nothing, {"nn/utils.py": ""}, "nn/utils.py:1"),
    (no_file_is_named_for_nothing, {"common/paths.py": ""}, "common/paths.py:1"),
]
RULES = [*dict.fromkeys(rule for rule, *_ in BREACHES), no_files_import_in_a_circle]

ORDERLY = {
    "run.py": "from dataclasses import dataclass\n\nfrom ganforge.errors import OptionError",
    "game.py": "import torch\n\nfrom ganforge.batches import Facts",
    "engine/engine.py": "from ganforge.game import Move\nfrom ganforge.runs import checkpoint\nfrom . import ema",
    "engine/augmentation.py": "from ganforge.nn.diffaug import diffaug",
    "engine/ema.py": "",
    "nn/maxout.py": "import math\nimport torch\nfrom ganforge.nn.losses import hinge",
    "models/dcgan.py": "import torch\nfrom ganforge.nn import maxout\nfrom ganforge.run import Preset\ntorch.zeros(2)",
    "models/spade/game.py": "from ganforge.models.spade.networks import Generator",
    "models/spade/networks.py": "",
    "official/dcgan.py": "from ganforge.models.dcgan import Generator",
    "catalogue.py": "def find():\n    import ganforge.models",
    "callbacks/log.py": "import rich\nfrom ganforge.game import Clock",
}


def build(package: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = package / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return package


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_its_rules(rule: Rule) -> None:
    assert (PACKAGE / "game.py").exists()
    violations = rule(PACKAGE)
    assert not violations, "\n" + "\n".join(violations)


@pytest.mark.parametrize(
    ("rule", "files", "where"), BREACHES, ids=[f"{rule.__name__}-{i}" for i, (rule, *_) in enumerate(BREACHES)]
)
def test_a_violation_is_named_with_file_and_line(rule: Rule, files: dict[str, str], where: str, tmp_path: Path) -> None:
    (violation,) = rule(build(tmp_path, files))
    assert violation.startswith(f"{where} ")


def test_a_circle_is_found_through_late_imports_and_several_files(tmp_path: Path) -> None:
    files = {
        "data/a.py": "from ganforge.data.b import one",
        "data/b.py": "def late():\n    from ganforge.data import c",
        "data/c.py": "if TYPE_CHECKING:\n    from ganforge.data.a import two\nfrom ganforge.data.d import three",
        "data/d.py": "",
    }
    violations = no_files_import_in_a_circle(build(tmp_path, files))
    assert [violation.partition(" ")[0] for violation in violations] == ["data/a.py:1", "data/b.py:2", "data/c.py:2"]


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_orderly_package_passes(rule: Rule, tmp_path: Path) -> None:
    assert rule(build(tmp_path, ORDERLY)) == []


def test_every_layer_names_rooms_that_exist():
    rooms = {room_of(path.relative_to(PACKAGE).as_posix()) for path in PACKAGE.rglob("*.py")}
    assert rooms == set(ROOM_OF)


def test_no_function_of_the_package_shares_its_name_with_a_module():
    """Importing `ganforge.plan` somewhere would put the module in the function's place."""
    import ganforge

    modules = {path.stem for path in PACKAGE.iterdir()}
    assert not modules & set(ganforge.__all__)


def test_loading_a_run_to_sample_it_does_not_import_the_training_loop():
    code = "import sys, ganforge; ganforge.load; ganforge.sample; sys.exit('ganforge.engine' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_training_starts_without_matplotlib():
    code = "import sys, ganforge.training.train, ganforge.callbacks; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0
