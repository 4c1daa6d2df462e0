"""Pretrained parts: a stage built on another run, which it keeps and never looks for again."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ganforge
from ganforge.errors import ContractError, ModelError
from ganforge.runs.folder import RunFolder
from tests.support.parts import BASE, STAGE
from tests.support.sealed import write_sums

ENCODER = '''
"""encoder: finds the latent of a picture, for a generator that is done learning."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from ganforge.batches import Facts, Images
from ganforge.game import Clock, Game, Move, Part


@dataclass(frozen=True)
class Config:
    generator: Annotated[str, Part("dcgan")] = ""


class Encoder(Game[Config, Images]):
    averaged = ("encoder", "generator")

    def __init__(self, config: Config, facts: Facts, generator: Game | None = None) -> None:
        super().__init__(config, facts)
        self.generator = generator.generator.requires_grad_(False)
        self.latent = generator.config.latent
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(facts.channels * facts.height * facts.width, self.latent))

    def players(self) -> dict[str, Optimizer]:
        return {"encoder": Adam(self.encoder.parameters(), 1e-3)}

    def play(self, batches: Iterator[Images], now: Clock) -> Iterator[Move]:
        real = next(batches).images
        yield Move("encoder", distance=(self.generator(self.encoder(real)) - real).square().mean())

    def translate(self, images: Tensor) -> Tensor:
        return self.generator(self.encoder(images))
'''


@pytest.fixture
def first(tmp_path: Path):
    return ganforge.train("dcgan", preset="tiny", outdir=tmp_path / "runs", quiet=True)


@pytest.fixture
def encoder(tmp_path: Path) -> str:
    (tmp_path / "encoder.py").write_text(ENCODER)
    return str(tmp_path / "encoder.py")


def trained(encoder: str, part: str, out: Path):
    options = {"steps": 2, "batch": 8, "size": (16,), "outdir": out, "quiet": True}
    return ganforge.train(encoder, config={"generator": part}, **options)


def test_a_part_is_passed_on_copied_and_not_loaded_from_the_original_again(tmp_path, first, encoder):
    second = trained(encoder, f"{first.path}@6", tmp_path / "second")
    kept = ganforge.load(second.path / "parts" / "generator", device="cpu")
    assert torch.equal(kept.sample(3), first.sample(3))
    before = second.game.eval().translate(torch.zeros(1, 3, 16, 16))
    shutil.rmtree(first.path)
    again = ganforge.load(second.path, device="cpu")
    torch.testing.assert_close(again.game.translate(torch.zeros(1, 3, 16, 16)), before)
    assert ganforge.resume(second.path, steps=3, quiet=True).step == 3


def test_a_missing_part_names_the_command_that_makes_it(tmp_path, encoder):
    with pytest.raises(ModelError, match=r"cannot be loaded from 'nowhere'.*`ganforge train dcgan` trains one"):
        trained(encoder, "nowhere", tmp_path)


def test_a_part_of_another_model_is_refused(tmp_path, encoder):
    other = ganforge.train("gan", preset="tiny", outdir=tmp_path / "runs", quiet=True)
    with pytest.raises(ModelError, match=r"must be a run of dcgan; .* is one of gan"):
        trained(encoder, str(other.path), tmp_path)


# A part rests -----------------------------------------------------------------------------------


@pytest.fixture
def stages(tmp_path: Path):
    """(the run of a part with batch norm, the file of a model that is built on it)."""
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "stage.py").write_text(STAGE.replace("BASE", str(tmp_path / "base.py")))
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8))
    options = {"outdir": tmp_path / "runs", "quiet": True, "tensorboard": False, "doctor": False}

    def train(model: str, **more):
        return ganforge.train(str(tmp_path / f"{model}.py"), tmp_path / "data.npy", "tiny", **options, **more)

    return train


def tensors_of(run: Path) -> dict[str, set[str]]:
    """{file of the last checkpoint: its keys}."""
    folder = max((run / "checkpoints").glob("step-*"))
    return {file.stem: set(load_file(file)) for file in folder.glob("*.safetensors")}


def test_a_part_does_not_drift_and_is_in_no_checkpoint_nor_average(stages):
    first = stages("base")
    before, sources = first.game.state_dict(), torch.rand(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    answers = first.translate(sources)
    run = stages("stage", config={"first": str(first.path)}, accumulate=2)
    assert tensors_of(run.path) == {
        "game": {"generator.weight", "generator.bias"},
        "averaged": {"generator.weight", "generator.bias"},
        "players": set(),
    }
    for game in (run.game, ganforge.load(run.path, device="cpu").game):
        game.train()
        assert not any(module.training for module in game.first.modules())
        assert not any(p.requires_grad for p in game.first.parameters())
        for key, value in game.first.state_dict().items():
            assert torch.equal(value, before[f"generator.{key}"]), key
    kept = ganforge.load(run.path / "parts" / "first", device="cpu")
    assert all(torch.equal(value, before[key]) for key, value in kept.game.state_dict().items())
    torch.testing.assert_close(kept.translate(sources), answers)  # layouts in memory differ, and so may last bits
    again = ganforge.resume(run.path, steps=8, quiet=True)
    assert torch.equal(again.game.first[1].running_mean, before["generator.1.running_mean"])


def test_a_game_that_trains_a_part_copies_it(stages, tmp_path):
    first = stages("base")
    run = stages("stage", config={"first": str(first.path), "copies": True})
    assert {"first.0.weight", "first.1.running_mean"} <= tensors_of(run.path)["game"] & tensors_of(run.path)["averaged"]
    assert not torch.equal(run.game.first[0].weight, first.game.generator[0].weight)
    source = (tmp_path / "stage.py").read_text().replace("if self.config.copies else ()", "if True else ()")
    (tmp_path / "stage.py").write_text(source)
    with pytest.raises(ContractError, match=r"player 'generator' of Stage trains weights of a part.*deepcopy"):
        stages("stage", config={"first": str(first.path)})


def test_a_constructor_that_changes_its_part_is_refused(stages, tmp_path):
    first = stages("base")
    source = (tmp_path / "stage.py").read_text()
    initialised = "        self.apply(lambda m: nn.init.zeros_(m.weight) if isinstance(m, nn.Conv2d) else None)\n"
    source = source.replace("facts.channels, 1)\n", f"facts.channels, 1)\n{initialised}", 1)
    (tmp_path / "stage.py").write_text(source)
    with pytest.raises(ContractError, match=r"constructor of Stage changes the weights of its part 'first'"):
        stages("stage", config={"first": str(first.path)})


def test_a_checkpoint_of_a_run_with_a_large_part_stays_small(stages):
    first = stages("base", config={"ballast": 23_000_000})  # 92 MB
    run = stages("stage", config={"first": str(first.path)}, link_parts=True, steps=2)
    assert sum(f.stat().st_size for f in (first.path / "checkpoints").rglob("*")) > 90e6
    assert sum(f.stat().st_size for f in run.path.rglob("*")) < 5e6


def test_a_linked_part_is_its_path_and_hash(stages):
    first = stages("base")
    run = stages("stage", config={"first": str(first.path)}, link_parts=True)
    assert not (run.path / "parts").exists()
    record = RunFolder(run.path).run_config.parts["first"]
    assert record["linked"] == f"{first.path.resolve()}@{first.step}"
    assert len(record["sha256"]) == 64
    assert ganforge.load(run.path, device="cpu").step == 6
    assert ganforge.resume(run.path, steps=7, quiet=True).step == 7
    assert RunFolder(run.path).run_config.parts["first"] == record
    checkpoints = first.path / "checkpoints"
    (checkpoints / "step-000000001").rename(checkpoints / "step-000000009")
    with pytest.raises(ModelError, match=r"part 'first' is linked to .*@1, which .*bring that run back|have changed"):
        ganforge.load(run.path)
    (checkpoints / "step-000000009").rename(checkpoints / "step-000000001")
    weights = checkpoints / "step-000000001" / "game.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\x00\x00\x80?")
    with pytest.raises(ModelError, match=r"part 'first' is linked to .*@1, whose weights or settings have changed"):
        ganforge.load(run.path)


def test_a_checkpoint_that_holds_its_parts_weights_keeps_them(stages):
    """As GANForge 0.1 wrote them, whose parts drifted: such a run goes on with the weights that it has."""
    first = stages("base")
    run = stages("stage", config={"first": str(first.path)}, ema=0.0)
    file = max((run.path / "checkpoints").glob("step-*")) / "game.safetensors"
    drifted = {f"first.{key}": value + 1 for key, value in run.game.first.state_dict().items()}
    save_file({**load_file(file), **drifted}, file)
    write_sums(file.parent)
    loaded = ganforge.load(run.path, device="cpu")
    assert torch.equal(loaded.game.first[0].weight, drifted["first.0.weight"])
    again = ganforge.resume(run.path, steps=8, quiet=True)
    assert torch.equal(again.game.first[0].weight, drifted["first.0.weight"])
    assert set(drifted) <= tensors_of(run.path)["game"]


# What a part may be -----------------------------------------------------------------------------


def declared(folder: Path, part: str) -> str:
    """The file of a stage whose part is declared so."""
    text = STAGE.replace('Part("BASE")', part)
    (folder / "stage.py").write_text(text)
    return str(folder / "stage.py")


def test_a_part_may_be_of_several_models_or_of_any_that_can_do_what_is_asked(stages, tmp_path):
    first = stages("base")
    (tmp_path / "other.py").write_text(BASE)
    declared(tmp_path, 'Part("dcgan|./base.py")')
    assert stages("stage", config={"first": str(first.path)}).step == 6
    other = stages("other")
    with pytest.raises(ModelError, match=r"must be a run of dcgan or .*base.py; .* is one of .*other.py"):
        stages("stage", config={"first": str(other.path)})
    declared(tmp_path, 'Part("*", can=("translate",))')
    assert stages("stage", config={"first": str(other.path)}).step == 6
    declared(tmp_path, 'Part("*", can=("translate", "traverse"))')
    with pytest.raises(ModelError, match=r"must be able to translate and traverse, and .*other.py cannot traverse"):
        stages("stage", config={"first": str(other.path)})


def test_a_part_of_other_data_is_refused_but_for_free_facts(stages, tmp_path):
    first = stages("base")
    with pytest.raises(ModelError, match=r"'first' was made for 16x16 and this run is 24x24: say --size 16, or train"):
        stages("stage", config={"first": str(first.path)}, size=24)
    with pytest.raises(ModelError, match=r"'first' was made for data whose channels is 3, and here it is 1: give the"):
        stages("stage", config={"first": str(first.path)}, channels=1)
    declared(tmp_path, f'Part("{tmp_path / "base.py"}", free=("height", "width"))')
    assert stages("stage", config={"first": str(first.path)}, size=24).step == 6
