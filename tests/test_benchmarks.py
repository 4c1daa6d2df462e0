"""The benchmarks compare like with like, take turns, and say what keeps them from it."""

import pytest

from benchmarks import adaptive, anomaly, roialign, synthesis
from benchmarks.__main__ import conditions
from benchmarks.cases import ours, rates
from benchmarks.ours import game
from benchmarks.race import Entry, Pace, Result, race
from benchmarks.table import spread, table
from benchmarks.usual import (
    cgan,
    chapter,
    cyclegan,
    dcgan,
    e4e,
    gan_cls,
    hyperstyle,
    lostgan,
    pix2pix,
    r3gan,
    spade,
    stackgan,
    stylegan2,
    text_encoder,
    wgan_gp,
)

STYLES = {"side": 32, "capacity": 128, "most": 8}
NARROW = {"width": 4, "hidden": 8, "judge_width": 4}
SMALL = {"width": 4, "latent": 8, "embedding": 6, "mask_width": 8}


def spade_of(side: int, **config: object) -> dict[str, object]:
    return {"model": "spade", "preset": "paper", "batch": 2, "size": (side,), "config": {**config, "content": "none"}}


def lostgan_of(side: int) -> dict[str, object]:
    config = {**SMALL, "version": 1, "judge_width": SMALL["width"], "content": "none"}
    return {"model": "lostgan", "preset": "paper", "batch": 2, "size": (side,), "config": config}


def words_of(model: str, **config: object) -> dict[str, object]:
    return {"model": model, "preset": "paper", "batch": 2, "config": {"width": 8, "judge_width": 8, **config}}


ENCODER = {"preset": "small", "parts": {"generator": "stylegan2"}}
LIKE = {
    "chapter": (game, {"model": "dcgan", "preset": "chapter", "batch": 2}, chapter.loop, {"batch": 2}),
    "dcgan64": (game, {"model": "dcgan", "preset": "pytorch", "batch": 2}, dcgan.loop, {"batch": 2}),
    "wgan_gp": (game, {"model": "wgan_gp", "preset": "small", "batch": 2}, wgan_gp.loop, {"batch": 2}),
    "r3gan": (game, {"model": "r3gan", "preset": "small", "batch": 2}, r3gan.loop, {"batch": 2}),
    "pix2pix": (game, {"model": "pix2pix", "preset": "paper", "size": (32,)}, pix2pix.loop, {"side": 32}),
    "cyclegan": (game, {"model": "cyclegan", "preset": "paper", "size": (32,)}, cyclegan.loop, {"side": 32}),
    "cgan": (game, {"model": "cgan", "preset": "small", "batch": 2}, cgan.loop, {"batch": 2}),
    "text_encoder": (game, {"model": "text_encoder", "preset": "small", "batch": 2}, text_encoder.loop, {"batch": 2}),
    "spade": (game, spade_of(64, use_vae=True, latent=8, **NARROW), spade.loop, {"batch": 2, "latent": 8, **NARROW}),
    "spade, paper": (game, spade_of(32, **NARROW), spade.loop, {"batch": 2, "side": 32, "latent": 0, **NARROW}),
    "lostgan": (game, lostgan_of(32), lostgan.loop, {"batch": 2, **SMALL}),
    "lostgan, paper": (game, lostgan_of(64), lostgan.loop, {"batch": 2, "side": 64, **SMALL}),
    "gan_cls": (game, words_of("gan_cls", encoder_from=0.0), gan_cls.loop, {"batch": 2, "width": 8}),
    "stackgan": (game, words_of("stackgan"), stackgan.loop, {"batch": 2, "width": 8, "judge_width": 8}),
    "stylegan2": (game, {"model": "stylegan2", "preset": "small", "batch": 2}, stylegan2.loop, {"batch": 2}),
    "e4e": (game, {"model": "e4e", "batch": 2, **ENCODER}, e4e.loop, {"batch": 2}),
    "hyperstyle": (game, {"model": "hyperstyle", "batch": 2, **ENCODER}, hyperstyle.loop, {"batch": 2}),
    "anogan": (anomaly.ours, {"batch": 2, "descent": 2}, anomaly.usual, {"batch": 2, "descent": 2}),
    "synthesis": (synthesis.ours, {"batch": 2, **STYLES}, synthesis.theirs, {"batch": 2, **STYLES}),
    "roialign": (roialign.ours, {"batch": 2, "channels": 4}, roialign.theirs, {"batch": 2, "channels": 4}),
    "gigagan": (game, {"model": "gigagan", "preset": "small", "batch": 2}, adaptive.grouped_steps, {"batch": 2}),
    "adaptive": (adaptive.ours, {"batch": 2, "channels": 4}, adaptive.grouped, {"batch": 2, "channels": 4}),
}
TINY = {"latent": 8, "width": 4, "critic_moves": 2, "side": 16, "batch": 8}


@pytest.mark.parametrize("name", LIKE)
def test_both_sides_have_the_same_networks_and_data(name):
    if name.startswith(("lostgan", "roialign")):
        pytest.importorskip("torchvision", reason="the other side takes torchvision's ROIAlign")
    build, own, usual, theirs = LIKE[name]
    a, b = build(**own), usual(**theirs)
    assert (a.parameters, a.images) == (b.parameters, b.images)
    b.play(1)


@pytest.mark.parametrize(
    "name", ["spade", "lostgan", "text_encoder", "roialign", "anogan", "e4e", "hyperstyle", "synthesis"]
)
def test_ours_plays_on_maps_and_boxes_that_are_not_files(name):
    build, own, _, _ = LIKE[name]
    build(**own).play(1)


def test_a_race_alternates_and_gives_rates_and_ratios():
    entries = [ours(model="wgan_gp", preset="tiny"), Entry("usual loop, fp32", "usual.wgan_gp:loop", TINY)]
    results = race(entries, Pace(turns=2, seconds=0.05, warm=1, threads=1))
    assert all(len(r.seconds) == 2 and min(r.seconds) > 0 and r.memory > 50 for r in results.values())
    text = rates("tiny", results, ["usual loop, fp32"])
    assert "| usual loop, fp32 |" in text
    assert text.splitlines()[-1].endswith(" 1.00 |")


def test_programs_of_different_size_are_not_compared():
    entries = [Entry(str(width), "usual.wgan_gp:loop", {**TINY, "width": width}) for width in (4, 8)]
    with pytest.raises(RuntimeError, match="do not do the same work"):
        race(entries, Pace(turns=1, seconds=0.01, warm=1, threads=1))


def test_a_program_that_dies_says_why():
    with pytest.raises(RuntimeError, match=r"(?s)lost has died.*ModuleNotFoundError"):
        race([Entry("lost", "nowhere:loop")], Pace(turns=1, seconds=0.01))


def test_ratios_count_images_and_compare_within_a_turn():
    fast = Result({"images": 20}, steps=1, seconds=[1.0, 2.0, 3.0])
    slow = Result({"images": 10}, steps=1, seconds=[2.0, 4.0, 6.0])
    assert fast.times(slow) == 4.0
    assert fast.rates("images") == pytest.approx([20, 10, 20 / 3])


def test_tables_are_markdown():
    assert table("t", ["a", "b"], [["x", spread([1, 3, 2])]]).splitlines() == [
        "### t",
        "",
        "| a |       b |",
        "|---|--------:|",
        "| x | 2 (1-3) |",
    ]


def test_a_busy_machine_is_reported():
    assert "do not quote" in conditions(Pace(passive=True), 2.0)
    assert "quiet" in conditions(Pace(), 0.0)
