"""Numbers are checked where a Run or a Config is made: one sentence each."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import pytest

import ganforge
from ganforge import cli
from ganforge.capabilities import Range
from ganforge.catalogue import find, names
from ganforge.errors import OptionError
from ganforge.inference.trained import Trained
from ganforge.run import Run
from ganforge.serialize import check_config, from_plain
from tests.support.toys import FACTS, Toy
from tests.support.toys import Config as ToyConfig


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("ema", math.nan, "--ema cannot be nan: it is a finite number"),
        ("ema", -5.0, "--ema cannot be -5.0: the least is 0"),
        ("ema", math.inf, "--ema cannot be inf: it is a finite number"),
        ("clip", -1.0, "--clip cannot be -1.0"),
        ("clip", math.nan, "--clip cannot be nan"),
        ("warmup", -3, "--warmup cannot be -3"),
        ("steps", -1, "--steps cannot be -1"),
        ("steps", 10**12, "--steps cannot be .*: the largest is 1000000000"),
        ("batch", 0, "--batch cannot be 0: the least is 1"),
        ("batch", 2**70, "--batch cannot be .*: the largest is 1000000"),
        ("accumulate", 0, "--accumulate cannot be 0"),
        ("judged", 0, "--eval-images cannot be 0"),
        ("every", -1, "--eval-every cannot be -1"),
        ("patience", -1, "--patience cannot be -1"),
        ("threads", -2, "--threads cannot be -2"),
        ("channels", -1, "--channels cannot be -1"),
        ("seed", 2**70, "--seed cannot be 1180591620717411303424: the largest is 9223372036854775807"),
        ("seed", -1, "--seed cannot be -1: the least is 0"),
        ("ema_rampup", -0.1, "--ema-rampup cannot be -0.1"),
        ("save_minutes", math.inf, "--save-minutes cannot be inf"),
        ("augment_p", 0.5, "--augment-p 0.5 belongs to --augment ada"),
        ("size", (0,), "--size 0 is not a size"),
    ],
)
def test_a_run_refuses_a_number_out_of_range(name: str, value: Any, sentence: str):
    for make in (lambda: Run(**{name: value}), lambda: from_plain(Run, {name: value})):
        with pytest.raises(OptionError, match=sentence):
            make()


@pytest.mark.parametrize("p", [-0.1, 1.5, math.nan])
def test_a_probability_lies_between_0_and_1(p: float):
    with pytest.raises(OptionError, match="--augment-p cannot be"):
        Run(augment="ada", augment_p=p)


@pytest.mark.parametrize(
    ("length", "sentence"),
    [
        ({"epochs": -1}, "--epochs cannot be -1"),
        ({"epochs": math.nan}, "--epochs cannot be nan"),
        ({"kimg": 1e300}, "--kimg cannot be 1e[+]300: the largest is"),
        ({"kimg": math.inf}, "--kimg cannot be inf"),
        ({"config": {"lr": 0}}, "--config.lr cannot be 0.*above 0"),
        ({"config": {"lr": math.nan}}, "--config.lr cannot be nan"),
        ({"config": {"width": 0}}, "--config.width cannot be 0: the least is 1"),
    ],
)
def test_nothing_is_written_for_a_number_out_of_range(tmp_path, length: dict[str, Any], sentence: str):
    with pytest.raises(OptionError, match=sentence):
        ganforge.train("dcgan", preset="tiny", outdir=tmp_path, quiet=True, **length)
    assert not [*tmp_path.iterdir()]


def test_the_command_prints_one_sentence(capsys, tmp_path):
    words = ["train", "dcgan", "--preset", "tiny", "--outdir", str(tmp_path)]
    for option in (["--clip", "nan"], ["--epochs", "-1"], ["--config.lr", "-1"], ["--seed", str(2**70)]):
        assert cli.run([*words, *option]) == 1
        error = capsys.readouterr().err
        assert f"{option[0]} cannot be" in error
        assert error.count("\n") == 1


@pytest.mark.parametrize("name", names())
def test_every_preset_is_in_range(name: str):
    for preset in find(name).presets.values():
        check_config(preset.config)


@dataclass(frozen=True)
class Settings:
    """Settings of a model of a person's own."""

    lr_critic: float = 0.1
    slow_lr: float = 0.1
    beta2: float = 0.9
    judge_width: int = 8
    extra_layers: int = 0
    offset: int = -1
    strength: Annotated[float, Range(-3, 3)] = 0.0
    rates: tuple[float, ...] = (1.0,)
    switch: bool = False
    warmup_lr: float = 0.0  # outside of what its name allows: the author's own default passes


@pytest.mark.parametrize(
    "wrong",
    [
        {"lr_critic": 0.0}, {"slow_lr": -1.0}, {"beta2": 1.0}, {"beta2": -0.1}, {"judge_width": 0}, {"offset": -2},
        {"extra_layers": -1}, {"warmup_lr": -1.0}, {"strength": 3.5}, {"strength": math.nan},
        {"rates": (1.0, math.inf)},
    ],
)  # fmt: skip
def test_settings_of_ones_own_are_checked_by_name_type_and_range(wrong: dict[str, Any]):
    check_config(Settings())
    with pytest.raises(OptionError, match=f"--config.{next(iter(wrong)).replace('_', '-')} cannot be"):
        check_config(Settings(**wrong))


def test_a_seed_of_samples_is_in_range():
    trained = Trained(Toy(ToyConfig(), FACTS), Path(), "toy", 1)
    for ask in (trained.sample, lambda n, seed: trained.interpolate(n, 2, seed)):
        with pytest.raises(OptionError, match="seed cannot be"):
            ask(1, seed=2**70)
