"""Products by oneDNN equal torch's, through two derivatives, and give way where they must."""

import pytest
import torch

from ganforge.nn.cpu import matmul
from ganforge.nn.cpu.matmul import Product, product


@pytest.mark.parametrize("transposed", [False, True])
def test_products_and_their_derivatives_equal_torchs(transposed: bool):
    torch.manual_seed(0)
    left = torch.randn(5, 7, requires_grad=True)
    stored = torch.randn((7, 9) if transposed else (9, 7), requires_grad=True)
    right = stored.T if transposed else stored

    def derivatives(made: torch.Tensor) -> list[torch.Tensor]:
        first = torch.autograd.grad(made.sin().sum(), [left, stored], create_graph=True)
        return [made, *first, *torch.autograd.grad(sum(g.square().sum() for g in first), [left, stored])]

    ours = derivatives(product(left, right))
    torch.testing.assert_close(ours, derivatives(left @ right.T), rtol=1e-4, atol=1e-4)
    assert ours[2].is_contiguous()  # the gradient lies as the weight does: an optimiser would copy it


def test_other_precisions_and_builds_take_torchs_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Product, "apply", lambda *_: pytest.fail("oneDNN was asked"))
    left, right = torch.randn(2, 3), torch.randn(4, 3)
    torch.testing.assert_close(product(left.double(), right.double()), left.double() @ right.double().T)
    with torch.autocast("cpu", torch.bfloat16):
        assert product(left, right).dtype == torch.bfloat16
    monkeypatch.setattr(matmul, "has_onednn", lambda: False)
    torch.testing.assert_close(product(left, right), left @ right.T)


def test_an_operator_of_another_signature_is_left_alone(monkeypatch: pytest.MonkeyPatch):
    def refuses(*_: object) -> None:
        raise RuntimeError("expected at most 5 arguments")

    assert matmul.has_onednn.__wrapped__() == torch.backends.mkldnn.is_available()
    monkeypatch.setattr(Product, "apply", refuses)
    assert not matmul.has_onednn.__wrapped__()
