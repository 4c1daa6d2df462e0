"""`train --init-from`: networks that fit are copied, the rest are listed, and resuming never opens the source again."""

import shutil

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import ganforge
from ganforge import cli
from ganforge.errors import OptionError, WeightsError
from ganforge.files import sha256
from ganforge.runs.folder import RunFolder


@pytest.fixture
def train(tmp_path):
    """Trains a model on 16 images."""
    np.save(tmp_path / "data.npy", np.random.default_rng(0).integers(0, 256, (16, 16, 16, 3), np.uint8))
    options = {"outdir": tmp_path / "runs", "quiet": True, "tensorboard": False, "doctor": False, "sample_every": 0}
    return lambda model="dcgan", **more: ganforge.train(model, tmp_path / "data.npy", "tiny", **{**options, **more})


def live(run) -> dict[str, torch.Tensor]:
    return load_file(max((run.path / "checkpoints").glob("step-*")) / "game.safetensors")


def assert_equal(one, other, prefix=""):
    keys = [key for key in one if key.startswith(prefix)]
    assert keys
    for key in keys:
        assert torch.equal(one[key], other[key]), key


def test_a_run_starts_from_the_weights_of_another_and_never_opens_it_again(train, tmp_path):
    first, said = train(steps=3), []
    second = train(steps=0, init_from=f"{first.path}", seed=5, say=said.append)
    assert_equal(live(first), live(second))
    assert any(f"Started from {first.path}: generator, discriminator." in word for word in said)
    record = RunFolder(second.path).run_config.init_from
    checkpoint = max((first.path / "checkpoints").glob("step-*"))
    assert record == {
        "source": str(first.path),
        "sha256": sha256(checkpoint / "game.safetensors"),
        "networks": ["generator", "discriminator"],
    }
    assert not load_file(max((second.path / "checkpoints").glob("step-*")) / "players.safetensors")
    shutil.rmtree(first.path)
    assert ganforge.resume(second.path, steps=2, quiet=True).step == 2
    assert RunFolder(second.path).run_config.init_from == record
    assert_equal(live(second), live(ganforge.resume(second.path, steps=2, quiet=True)))


def test_a_file_of_one_network_fills_it_and_the_rest_is_listed(train, tmp_path):
    first, said = train(steps=3, ema=0.0), []
    (file, *_) = ganforge.export(first.path, tmp_path / "out", ["safetensors"])
    second = train(steps=0, init_from=file, seed=5, say=said.append)
    assert_equal(live(first), live(second), "generator.")
    assert any("Started from" in word and "Not taken: discriminator (not in the source)" in word for word in said)
    torch.save(live(first), tmp_path / "all.pth")
    assert_equal(live(first), live(train(steps=0, init_from=tmp_path / "all.pth", seed=6)))


def test_a_source_of_which_less_than_half_fits_is_refused(train, tmp_path):
    first = train(steps=1)
    with pytest.raises(OptionError, match=r"Only 0 of the 2 networks of DCGAN fit .*: generator \(.* is \(.* here and"):
        train(init_from=first.path, config={"width": 8})
    with pytest.raises(WeightsError, match="--init-from: there is no run and no file"):
        train(init_from=tmp_path / "absent.safetensors")
    broken = {**live(first)}
    broken["generator.x"] = torch.full((2,), torch.nan)
    save_file(broken, tmp_path / "nan.safetensors")
    with pytest.raises(WeightsError, match=r"nan\.safetensors are not finite \(generator\.x"):
        train(init_from=tmp_path / "nan.safetensors")


def test_the_command_has_the_flags(train, tmp_path, capsys):
    first = train(steps=1)
    words = ["train", "dcgan", "--data", str(tmp_path / "data.npy"), "--preset", "tiny", "--dry-run"]
    assert cli.run([*words, "--init-from", str(first.path), "--link-parts"]) == 0
    assert f"Started from {first.path}" in capsys.readouterr().out
