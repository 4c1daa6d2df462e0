"""Everything from Python: train, resume, load, sample, interpolate; and one sentence for every wrong input."""

import os
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image

import ganforge
from ganforge.batches import Facts
from ganforge.errors import CheckpointError, DataError, GANForgeError, ModelError, OptionError, RunError
from ganforge.images import enlarge, read, to_uint8, video, visible_channels
from ganforge.inference.latents import interpolate_latents
from ganforge.inference.load import load_part
from ganforge.run import Run
from ganforge.runs.checkpoint import Checkpoints
from ganforge.runs.folder import RunFolder
from ganforge.training.suitable_data import describe_difference
from tests.support.toys import weights

TINY = {"preset": "tiny", "quiet": True}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return ganforge.train("dcgan", outdir=tmp_path_factory.mktemp("runs"), **TINY)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of twelve small colour images."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(12):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (20, 24, 3), dtype=np.uint8)).save(
            folder / f"{i}.png"
        )
    return folder


def test_a_run_folder_holds_settings_facts_versions_and_log(trained):
    config = yaml.safe_load((trained.path / "config.yaml").read_text())
    assert config["model"] == "dcgan"
    assert config["config"]["width"] == 4
    assert config["run"]["steps"] == trained.step == 6
    assert config["facts"]["channels"] == 3
    assert {"torch", "python", "ganforge"} <= set(config["versions"])
    assert len((trained.path / "log.jsonl").read_text().splitlines()) == 3


def test_image_k_of_a_seed_is_the_same_in_any_batch(trained):
    whole = trained.sample(10, seed=3)
    torch.testing.assert_close(trained.sample(10, seed=3, batch=3), whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(trained.sample(4, seed=3, start=6), whole[6:], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(trained.sample(10, seed=4), whole)


def test_loading_gives_the_same_images(trained):
    assert torch.equal(ganforge.load(trained.path, device="cpu").sample(5), trained.sample(5))
    assert torch.equal(ganforge.load(f"{trained.path}@6", device="cpu").sample(5), trained.sample(5))


def test_a_longer_resumed_run_equals_one_that_had_this_length_from_the_start(tmp_path, trained):
    short = ganforge.train("dcgan", steps=2, outdir=tmp_path, **TINY)
    longer = ganforge.resume(short.path, steps=6, quiet=True)
    assert torch.equal(weights(longer.game), weights(trained.game))


def test_a_run_without_a_checkpoint_starts_again(tmp_path, trained):
    short = ganforge.train("dcgan", outdir=tmp_path, **TINY)
    for folder in (short.path / "checkpoints").glob("step-*"):
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()
    assert torch.equal(weights(ganforge.resume(short.path, quiet=True).game), weights(trained.game))


def test_sampling_writes_grids_arrays_and_folders(trained, tmp_path):
    ganforge.sample(trained.path, 5, out=tmp_path / "grid.png")
    assert read(tmp_path / "grid.png").shape[1] > 3 * 16
    ganforge.sample(trained.path, 5, out=tmp_path / "five.npz")
    assert np.load(tmp_path / "five.npz")["images"].shape == (5, 16, 16, 3)
    ganforge.sample(trained.path, 5, out=tmp_path / "single")
    assert len(list((tmp_path / "single").glob("*.png"))) == 5
    single = read(tmp_path / "single" / "000003.png").astype(int)
    assert np.abs(single - np.load(tmp_path / "five.npz")["images"][3]).max() <= 1


def test_interpolation_writes_a_grid_and_an_animation(trained, tmp_path):
    grid, animation = ganforge.interpolate(trained.path, tmp_path / "walk.png", rows=2, steps=3)
    assert grid.exists()
    with Image.open(animation) as film:
        assert film.n_frames > 1
    walk = trained.interpolate(2, 5, seed=0)
    torch.testing.assert_close(walk[0, 0], trained.sample(1, seed=0)[0], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(walk[0, -1], walk[1, 0], rtol=1e-4, atol=1e-5)


def test_an_interpolation_is_a_video_where_it_is_asked_for(trained, tmp_path):
    pytest.importorskip("av")
    grid, animation = ganforge.interpolate(trained.path, tmp_path / "walk.mp4", rows=2, steps=3)
    assert (grid.name, animation.name) == ("walk.png", "walk.mp4")
    film = video.read(animation)
    assert film.rate == 12.5
    walk = enlarge(visible_channels(to_uint8(trained.interpolate(2, 4, closed=True)[:, :-1].flatten(0, 1))), 128)
    frames = np.stack([*film.frames])
    assert frames.shape[:3] == walk.shape[:3]
    assert np.abs(frames - walk.astype(float)).mean() < 6  # colours are compressed


def test_a_video_without_a_library_says_what_to_install(trained, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(DataError, match=r"Videos need PyAV: pip install 'ganforge\[video\]'"):
        ganforge.interpolate(trained.path, tmp_path / "walk.mp4", rows=1, steps=3)
    assert not [*tmp_path.iterdir()]


def test_the_arc_keeps_the_length_and_the_line_does_not():
    a, b = torch.eye(6)[:1] * 3, torch.eye(6)[1:2] * 3
    arc, line = interpolate_latents(a, b, 5, "spherical"), interpolate_latents(a, b, 5, "linear")
    torch.testing.assert_close(arc.norm(dim=-1), torch.full((1, 5), 3.0))
    assert line.norm(dim=-1).min() < 2.2
    torch.testing.assert_close(interpolate_latents(a, a, 3, "spherical"), a[:, None].expand(1, 3, 6))


def test_epochs_and_kimg_are_lengths(photos, tmp_path):
    options = {"outdir": tmp_path, "batch": 4, "size": (16,), **TINY}
    assert ganforge.train("dcgan", photos, epochs=2, **options).step == 6
    assert ganforge.train("dcgan", photos, kimg=0.008, **options).step == 2


def test_threads_and_precision_are_written_to_the_config(tmp_path):
    run = ganforge.train("dcgan", steps=1, precision="auto", outdir=tmp_path, **TINY)
    stored = yaml.safe_load((run.path / "config.yaml").read_text())["run"]
    assert stored["precision"] in ("fp32", "bf16")
    assert stored["threads"] > 0


def test_run_options_are_accepted_under_the_names_of_fields_and_flags():
    def planned(**options) -> Run:
        return ganforge.plan("dcgan", preset="tiny", load=load_part, **options).run

    new = planned(select="fid:pixels", eval_every=3, eval_images=7, native_crops=True, size=(16,))
    old = planned(select="fid:pixels", every=3, judged=7, native=True, size=(16,))
    assert (new.every, new.judged, new.native) == (3, 7, True)
    assert new == old
    with pytest.raises(OptionError, match="judged is the old name of eval_images"):
        planned(judged=7, eval_images=8)
    with pytest.raises(OptionError, match=r"--eval-every and --patience need a metric"):
        planned(eval_every=3)


def test_channels_follow_the_option(photos, tmp_path):
    run = ganforge.train("dcgan", photos, steps=1, channels=1, batch=4, outdir=tmp_path, **TINY)
    assert run.sample(2).shape == (2, 1, 16, 16)


def test_every_command_is_a_function():
    assert {"train", "resume", "sample", "interpolate", "list", "show", "env", "load", "find"} <= set(dir(ganforge))
    assert "dcgan" in ganforge.list()
    assert ganforge.find("dcgan").game.__name__ == "DCGAN"
    assert "small" in ganforge.show("dcgan")["presets"]
    with pytest.raises(AttributeError, match="no attribute 'tran'"):
        ganforge.tran  # noqa: B018


def test_show_of_a_run_counts_parameters(trained):
    shown = ganforge.show(str(trained.path))
    assert shown["parameters"] == {"generator": 1752, "discriminator": 848}
    assert shown["checkpoints"] == [6]


# -- wrong input: one sentence each -----------------------------------------------------------------


def refused(kind: type[GANForgeError], words: str, act) -> None:
    with pytest.raises(kind) as caught:
        act()
    sentence = str(caught.value)
    assert re.search(words, sentence), sentence
    assert "\n" not in sentence.strip()


def attempt(tmp_path, data="shapes", model="dcgan", **options):
    return lambda: ganforge.train(model, data, outdir=tmp_path / "runs", **{**TINY, **options})


def test_wrong_data_is_refused(tmp_path, photos):
    refused(DataError, "no data called 'nowhere'", attempt(tmp_path, "nowhere"))
    (tmp_path / "empty").mkdir()
    refused(DataError, "empty", attempt(tmp_path, tmp_path / "empty"))
    (tmp_path / "one").mkdir()
    (photos / "0.png").rename(tmp_path / "one" / "0.png")
    refused(DataError, "one image", attempt(tmp_path, tmp_path / "one"))
    for file in photos.iterdir():
        file.write_bytes(b"not an image")
    refused(DataError, "could be read|can be read|unreadable|corrupt", attempt(tmp_path, photos))
    assert not (tmp_path / "runs").exists()


def test_wrong_sizes_are_refused(tmp_path, photos):
    refused(ModelError, r"cannot make images of 100 x 100.*--size 80, 96, 112", attempt(tmp_path, photos, size=(100,)))
    refused(ModelError, r"cannot make images of 9 x 32", attempt(tmp_path, photos, size=(9, 32)))
    refused(OptionError, r"is not a size", attempt(tmp_path, photos, size=(16, 16, 16)))


def test_wrong_options_are_refused(tmp_path):
    refused(ModelError, "Did you mean dcgan", attempt(tmp_path, model="dcgann"))
    refused(ModelError, "no preset 'big'", attempt(tmp_path, preset="big"))
    refused(OptionError, "Give the length once", attempt(tmp_path, steps=3, epochs=1))
    refused(OptionError, "has a setting 'stepz': did you mean steps", attempt(tmp_path, stepz=3))
    refused(OptionError, "steps cannot be 'many'", attempt(tmp_path, steps="many"))
    refused(OptionError, "--batch cannot be 0", attempt(tmp_path, batch=0))
    refused(OptionError, "Config has no setting 'widht'", attempt(tmp_path, config={"widht": 3}))
    refused(OptionError, "precision cannot be 'fp8': it is fp32 or bf16 or auto", attempt(tmp_path, precision="fp8"))


def test_wrong_runs_are_refused(tmp_path, trained):
    refused(RunError, "no run folder", lambda: ganforge.load(tmp_path / "absent"))
    refused(RunError, "no config.yaml", lambda: ganforge.load(tmp_path))
    refused(OptionError, "2 steps are fewer than the 6 already done", lambda: ganforge.resume(trained.path, steps=2))
    refused(OptionError, "n cannot be 0", lambda: trained.sample(0))
    refused(OptionError, "dcgan does not know --colour", lambda: trained.sample(1, colour="red"))
    refused(CheckpointError, "no checkpoint '4'", lambda: ganforge.load(f"{trained.path}@4"))


def test_a_damaged_run_folder_is_refused(tmp_path):
    run = ganforge.train("dcgan", steps=1, outdir=tmp_path, **TINY)
    config = run.path / "config.yaml"
    stored = yaml.safe_load(config.read_text())
    config.write_text(yaml.safe_dump({**stored, "config": {**stored["config"], "width": 8}}))
    RunFolder(run.path).accept_config()
    refused(CheckpointError, r"not those of this DCGAN: .* is float32 \(", lambda: ganforge.load(run.path))
    config.write_text(yaml.safe_dump({**stored, "model": "gan", "config": {}}))
    RunFolder(run.path).accept_config()
    refused(CheckpointError, "not those of this GAN", lambda: ganforge.load(run.path))
    config.write_text("model: [")
    refused(RunError, "config.yaml cannot be read", lambda: ganforge.load(run.path))


def test_data_that_changed_is_noticed_on_resume(tmp_path, photos):
    run = ganforge.train("dcgan", photos, steps=1, batch=4, outdir=tmp_path / "runs", **TINY)
    (photos / "3.png").unlink()
    refused(DataError, r"has changed .*12 images then, 11 now", lambda: ganforge.resume(run.path, steps=2, quiet=True))
    assert ganforge.resume(run.path, steps=2, data=photos, quiet=True).step == 2


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    tmp_path.chmod(0o500)
    refused(RunError, "No run folder can be made", attempt(tmp_path))


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "runs").write_text("a file in the way")
    refused(RunError, r"No run folder can be created in .*--outdir", attempt(tmp_path))


def test_two_processes_cannot_train_in_one_folder(tmp_path, trained):
    folder = RunFolder(trained.path)
    folder.lock()
    refused(RunError, "Another process is training", lambda: ganforge.resume(trained.path, steps=8, quiet=True))
    folder.unlock()
    assert Checkpoints(trained.path / "checkpoints").steps() == [6]


def test_facts_that_differ_are_named_alone():
    own, given = Facts(3, 32, 32, ("cat", "dog")), Facts(1, 32, 32, ("cat", "cow"))
    assert describe_difference(own, given) == (
        "channels is 1, and the run's 3; labels is ('cat', 'cow'), and the run's ('cat', 'dog')"
    )
