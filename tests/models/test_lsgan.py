"""What makes it LSGAN: squares, whose best discriminator is (b p + a q) / (p + q)."""

import pytest
import torch

from ganforge.batches import Facts
from ganforge.game import Clock
from ganforge.models.lsgan import CODES, LSGAN, Config, half_square
from tests.support.toys import make_loader


@pytest.mark.parametrize("code", ["binary", "pearson"])
def test_the_best_discriminator_weighs_both_densities(code):
    a, b, _ = CODES[code]
    p, q = torch.tensor([0.5, 0.3, 0.2, 0.0]), torch.tensor([0.1, 0.1, 0.4, 0.4])  # over four possible images
    best = ((b * p + a * q) / (p + q)).requires_grad_()  # equation 5
    terms = [p[i] * half_square(best[i], b) + q[i] * half_square(best[i], a) for i in range(4)]
    (slope,) = torch.autograd.grad(torch.stack(terms).sum(), best)  # of a convex function
    torch.testing.assert_close(slope, torch.zeros(4), rtol=0, atol=1e-7)


def test_the_pearson_code_meets_the_conditions_of_the_chi_square_divergence():
    a, b, c = CODES["pearson"]
    assert (b - c, b - a) == (1, 2)  # section 3.2


@pytest.mark.parametrize("code", ["binary", "pearson"])
def test_the_terms_are_half_squares(code):
    own = LSGAN(Config(latent=4, width=4, code=code), Facts(3, 8, 8))
    said = []
    own.discriminator.register_forward_hook(lambda _net, _in, out: said.append(out.detach()))
    discriminator_move, generator_move = own.play(iter([make_loader().batch(0)]), Clock())
    for term, scores, wanted in zip(
        (discriminator_move.terms["real"], discriminator_move.terms["fake"], generator_move.terms["fool"]),
        said,
        (CODES[code][1], CODES[code][0], CODES[code][2]),
        strict=True,
    ):
        torch.testing.assert_close(term.detach(), ((scores - wanted) ** 2).mean() / 2)


def test_a_fake_far_on_the_right_side_is_still_pulled():
    # The reason for squares (figure 1): where a sigmoid is content, the least-squares term has a slope.
    score = torch.tensor(20.0, requires_grad=True)
    (sleeping,) = torch.autograd.grad(torch.nn.functional.softplus(-score), score)
    (pulled,) = torch.autograd.grad(half_square(score, 1.0), score)
    assert abs(float(sleeping)) < 1e-8
    assert float(pulled) == 19
