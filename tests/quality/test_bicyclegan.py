"""BicycleGAN's answers to one image differ, each is plausible, and their codes can be found again."""

import pytest
import torch

from ganforge.data.loader import to_images
from ganforge.data.open import open_data
from ganforge.draw import RowDraw
from ganforge.inference.inference_mode import inference_mode
from tests.support.kept_runs import train_once

pytestmark = pytest.mark.quality


def test_answers_differ_and_lead_back_to_their_codes():
    """On outlines, which leave the colours open: pix2pix, of the same data, answers nearly the same each time."""
    many = train_once("bicyclegan", "shapes-edges")
    one = train_once("pix2pix", "shapes-edges", size=(32,))
    data = open_data("shapes-edges", size=(32, 32), held_out=True)
    sources, targets = (to_images(data.columns[name][:40].copy()) for name in ("source", "target"))
    spread, errors = {}, {}
    for name, run in {"bicyclegan": many, "pix2pix": one}.items():
        answers = []
        with inference_mode(run.game) as game:
            for seed in range(6):
                game.draw = RowDraw(seed)
                answers.append(game.translate(sources))  # pyright: ignore
        drawn = torch.stack(answers)
        spread[name] = float((drawn[1:] - drawn[:-1]).abs().mean())
        errors[name] = (drawn - targets).abs().mean((2, 3, 4))  # (answers, images)
    best, mean = float(errors["bicyclegan"].amin(0).mean()), float(errors["bicyclegan"].mean())
    with inference_mode(many.game) as game:
        game.draw = RowDraw(9)
        codes = game.draw.normal(len(sources), game.config.latent)
        found = game.encoder(game.generator(sources, codes))[0]  # pyright: ignore
    again = [float(torch.corrcoef(torch.stack(pair))[0, 1]) for pair in zip(codes.T, found.T, strict=True)]
    print(f"apart: {spread}; error {mean:.3f}, of the best of six {best:.3f}; codes found again: {max(again):.2f}")
    other = float((targets.roll(1, 0) - targets).abs().mean())  # of another scene's truth
    assert spread["bicyclegan"] > 3 * spread["pix2pix"]
    assert spread["bicyclegan"] > 0.05
    assert best < 0.7 * other
    assert max(again) > 0.4  # a small run finds use for few of its codes
