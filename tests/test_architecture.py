"""The arrows and budgets of docs/design.md: who may import whom, and how long things may grow.

A rule reads the sources of a house and returns its complaints, `file:line what is wrong`.  Every rule is
held against GANForge itself, and against a small house that breaks it, so that we know it can bark.
"""

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

HOUSE = Path(__file__).parents[1] / "src" / "ganforge"
Rule = Callable[[Path], list[str]]


@dataclass(frozen=True)
class Import:
    """One imported name: where, and its full dotted path (`ganforge.nn.layers.Maxout`, `torch.Tensor`)."""

    file: str
    line: int
    name: str

    @property
    def room(self) -> str:
        """`nn` of `ganforge.nn.layers`; empty for what comes from outside the house."""
        package, _, rest = self.name.partition(".")
        return rest.partition(".")[0] if package == "ganforge" else ""

    @property
    def library(self) -> str:
        """`torch` of `torch.nn`; empty for the house itself and the standard library."""
        package = self.name.partition(".")[0]
        return "" if package == "ganforge" or package in sys.stdlib_module_names else package

    def complaint(self, rule: str) -> str:
        return f"{self.file}:{self.line} imports {self.name}: {rule}"


def sources(house: Path, room: str = "") -> Iterator[tuple[str, str]]:
    """(path within the house, text) of every file of a room, which is a folder or one file; all without a room."""
    for path in sorted(house.rglob("*.py")):
        inside = path.relative_to(house)
        if not room or inside.with_suffix("").parts[0] == room:
            yield inside.as_posix(), path.read_text(encoding="utf-8")


def imports(house: Path, room: str = "") -> list[Import]:
    """All imports, those inside functions too."""
    found = []
    for file, text in sources(house, room):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Import):
                found += [Import(file, node.lineno, alias.name) for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                origin = [*above(file, node.level), *([node.module] if node.module else [])]
                found += [Import(file, node.lineno, ".".join([*origin, alias.name])) for alias in node.names]
    return found


def above(file: str, level: int) -> tuple[str, ...]:
    """The package that so many leading dots in `file` mean; nothing for none."""
    return ("ganforge", *Path(file).parts)[:-level] if level else ()


def outside(house: Path, room: str, allowed: str, rule: str) -> list[str]:
    """Complaints about imports in `room` that reach a room not among the `allowed`."""
    return [i.complaint(rule) for i in imports(house, room) if i.room and i.room not in allowed.split()]


def within(house: Path, room: str, forbidden: str, rule: str) -> list[str]:
    """Complaints about imports in `room` that reach one of the `forbidden` rooms."""
    return [i.complaint(rule) for i in imports(house, room) if i.room in forbidden.split()]


# The arrows -------------------------------------------------------------------------------------


def nn_stands_on_torch(house: Path) -> list[str]:
    rule = "nn knows torch, errors and itself"
    strangers = [i.complaint(rule) for i in imports(house, "nn") if i.library not in ("", "torch")]
    return strangers + outside(house, "nn", "nn errors", rule)


def a_model_knows_the_contract_and_nn(house: Path) -> list[str]:
    allowed = "game draw batches capabilities errors run nn"
    return outside(house, "models", allowed + " models", f"a model knows only {', '.join(allowed.split())}")


def a_model_knows_no_model(house: Path) -> list[str]:
    return within(house, "models", "models", "a model imports no model; what two share belongs in nn")


def the_engine_knows_no_paper(house: Path) -> list[str]:
    allowed = "game draw run batches checkpoint parallel buffers machine augmentation errors"
    return outside(house, "engine", allowed, f"the engine knows only {', '.join(allowed.split())}")


def run_is_quick_to_import(house: Path) -> list[str]:
    rule = "run.py stays without torch, so that the command line answers at once"
    slow = [i.complaint(rule) for i in imports(house, "run") if i.library]
    return slow + outside(house, "run", "errors", rule)


def only_the_catalogue_knows_models(house: Path) -> list[str]:
    rule = "only catalogue.py imports models, and official/NAME.py the one of its name"
    return [
        i.complaint(rule)
        for i in imports(house)
        if i.room == "models"
        and not i.file.startswith(("catalogue.py", "models/"))
        and not (i.file.startswith("official/") and twin(i))
    ]


def twin(found: Import) -> bool:
    """Whether official/NAME.py imports models/NAME.py."""
    return found.name.split(".")[2:3] == [Path(found.file).stem]


def metrics_measure_from_outside(house: Path) -> list[str]:
    return within(house, "metrics", "engine cli", "a measure knows neither the engine nor the command line")


def watchers_know_no_model(house: Path) -> list[str]:
    return within(house, "watch", "models", "what is watched is the same for every paper")


def data_knows_no_training(house: Path) -> list[str]:
    return within(house, "data", "models engine", "data knows neither models nor the engine")


def chance_enters_by_draw(house: Path) -> list[str]:
    """Games draw through `self.draw`: a global generator would break exact resume and seeded pictures."""
    rule = "a model draws only through self.draw"
    found = [i.complaint(rule) for i in imports(house, "models") if is_chance(i.name)]
    for file, text in sources(house, "models"):
        spelled = ((n.lineno, ast.unparse(n)) for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Attribute))
        found += [f"{file}:{line} uses {name}: {rule}" for line, name in spelled if is_chance(name)]
    return found


def is_chance(name: str) -> bool:
    torch_draws = ("torch.rand", "torch.normal", "torch.bernoulli", "torch.multinomial", "torch.poisson")
    return name == "random" or name.startswith((*torch_draws, "random.")) or name in ("np.random", "numpy.random")


# The budgets ------------------------------------------------------------------------------------


def files_stay_short(house: Path) -> list[str]:
    budgets = {"game.py": 200, "engine.py": 450, "parallel.py": 150}
    complaints = []
    for file, text in sources(house):
        lines, budget = len(text.splitlines()), 250 if file.startswith("models/") else budgets.get(file)
        if budget and lines > budget:
            complaints.append(f"{file}:{lines} is its last line, and its budget is {budget}")
    return complaints


def functions_stay_short(house: Path) -> list[str]:
    complaints = []
    for file, text in sources(house):
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > 60:
                    complaints.append(f"{file}:{node.lineno} {node.name} has {lines} lines, and the budget is 60")
    return complaints


def no_drawer_for_everything(house: Path) -> list[str]:
    drawers = {"utils", "util", "helpers", "misc", "common"}
    return [
        f"{file}:1 lies in a drawer for everything: name it for what it holds"
        for file, _ in sources(house)
        if drawers & set(Path(file).with_suffix("").parts)
    ]


# The tests --------------------------------------------------------------------------------------

LONG_FUNCTION = "def long():\n" + "    print()\n" * 60

# What each rule must bark at: (rule, file, its text, line of the complaint).
BREACHES: list[tuple[Rule, str, str, int]] = [
    (nn_stands_on_torch, "nn/layers.py", "import math\nimport torch\nimport numpy", 3),
    (nn_stands_on_torch, "nn/layers.py", "from ganforge.game import Move", 1),
    (a_model_knows_the_contract_and_nn, "models/dcgan.py", "import torch\n\nfrom ganforge.engine import train", 3),
    (a_model_knows_the_contract_and_nn, "models/dcgan.py", "from ganforge import api", 1),
    (a_model_knows_the_contract_and_nn, "models/dcgan.py", "def late():\n    import ganforge.cli", 2),
    (a_model_knows_no_model, "models/wgan.py", "from ganforge.models.dcgan import Generator", 1),
    (a_model_knows_no_model, "models/wgan.py", "def late():\n    from .dcgan import Generator", 2),
    (the_engine_knows_no_paper, "engine.py", "from ganforge.nn import losses", 1),
    (the_engine_knows_no_paper, "engine.py", "def late():\n    from .models import dcgan", 2),
    (run_is_quick_to_import, "run.py", "from dataclasses import dataclass\nimport torch", 2),
    (run_is_quick_to_import, "run.py", "from ganforge.game import Game", 1),
    (only_the_catalogue_knows_models, "api.py", "def train():\n    import ganforge.models.dcgan", 2),
    (only_the_catalogue_knows_models, "api.py", "from . import models", 1),
    (only_the_catalogue_knows_models, "official/wgan.py", "from ganforge.models.dcgan import Generator", 1),
    (metrics_measure_from_outside, "metrics/fid.py", "from ganforge.engine import train", 1),
    (watchers_know_no_model, "watch/bar.py", "from ganforge.models import dcgan", 1),
    (data_knows_no_training, "data/folder.py", "from ..engine import train", 1),
    (chance_enters_by_draw, "models/dcgan.py", "import torch\nz = torch.randn(2)", 2),
    (chance_enters_by_draw, "models/dcgan.py", "import numpy as np\nz = np.random.default_rng(0)", 2),
    (chance_enters_by_draw, "models/dcgan.py", "from torch import rand_like", 1),
    (chance_enters_by_draw, "models/dcgan.py", "import random", 1),
    (files_stay_short, "models/dcgan.py", "\n" * 251, 251),
    (files_stay_short, "engine.py", "\n" * 451, 451),
    (files_stay_short, "game.py", "\n" * 201, 201),
    (files_stay_short, "parallel.py", "\n" * 151, 151),
    (functions_stay_short, "nn/layers.py", "import torch\n\n" + LONG_FUNCTION, 3),
    (functions_stay_short, "cli.py", "class A:\n    async def b(self):\n" + "        print()\n" * 60, 2),
    (no_drawer_for_everything, "nn/utils.py", "", 1),
    (no_drawer_for_everything, "common/paths.py", "", 1),
]
RULES = list(dict.fromkeys(rule for rule, *_ in BREACHES))

ORDERLY = {
    "run.py": "from dataclasses import dataclass\n\nfrom ganforge.errors import OptionError",
    "game.py": "import torch\n\nfrom ganforge.batches import Facts",
    "engine.py": "from ganforge.game import Move\nfrom . import checkpoint, parallel",
    "nn/layers.py": "import math\nimport torch\nfrom ganforge.nn.losses import hinge",
    "models/dcgan.py": "import torch\nfrom ganforge.nn import layers\nfrom ganforge.run import Preset\ntorch.zeros(2)",
    "official/dcgan.py": "from ganforge.models.dcgan import Generator",
    "catalogue.py": "def find():\n    import ganforge.models",
    "watch/bar.py": "import rich\nfrom ganforge.game import Clock",
}


def build(house: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = house / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return house


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_house_keeps_its_rules(rule: Rule) -> None:
    assert (HOUSE / "game.py").exists()
    complaints = rule(HOUSE)
    assert not complaints, "\n" + "\n".join(complaints)


@pytest.mark.parametrize(
    ("rule", "file", "text", "line"), BREACHES, ids=[f"{rule.__name__}-{i}" for i, (rule, *_) in enumerate(BREACHES)]
)
def test_a_breach_is_named_with_file_and_line(rule: Rule, file: str, text: str, line: int, tmp_path: Path) -> None:
    (complaint,) = rule(build(tmp_path, {file: text}))
    assert complaint.startswith(f"{file}:{line} ")


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_an_orderly_house_is_left_in_peace(rule: Rule, tmp_path: Path) -> None:
    assert rule(build(tmp_path, ORDERLY)) == []


def test_no_function_of_the_package_shares_its_name_with_a_module():
    """Importing `ganforge.plan` somewhere would put the module in the function's place."""
    import ganforge

    modules = {path.stem for path in HOUSE.iterdir()}
    assert not modules & {name for name in ganforge.__all__ if name != "lab"}
