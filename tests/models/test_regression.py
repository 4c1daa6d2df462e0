"""What makes it regression: one player, who finds the median of the answers, or their mean."""

import pytest
import torch

from ganforge.batches import Facts, Paired
from ganforge.game import Clock
from ganforge.models.regression import Config, Regression


@pytest.mark.parametrize(("distance", "answer"), [("l1", -0.5), ("l2", 0.0)])
def test_an_open_question_is_answered_by_the_median_or_the_mean(distance, answer):
    """One source, three targets -0.5, -0.5 and 1: their median is -0.5, their mean 0."""
    torch.manual_seed(0)
    game = Regression(Config(distance, norm="none", dropout=False, width=4, lr=2e-3), Facts(1, 8, 8))
    source = torch.ones(3, 1, 8, 8)
    pair = Paired(source, torch.tensor([-0.5, -0.5, 1.0]).view(3, 1, 1, 1).expand(3, 1, 8, 8))
    optimiser = game.players()["generator"]
    for _ in range(150):
        optimiser.zero_grad()
        (move,) = game.play(iter([pair]), Clock())
        move.terms[distance].backward()
        optimiser.step()
    assert game.eval().translate(source).mean().item() == pytest.approx(answer, abs=0.1)
