"""Files of weights as people have them, and those that cannot become a run: one sentence, and no folder left."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import ganforge
from ganforge.cli import run as main
from ganforge.errors import GANForgeError, NotFiniteError
from ganforge.interop import importing
from ganforge.interop.importing import import_weights


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    """The generator of pytorch/examples, narrow."""
    torch.manual_seed(0)
    layers: list[nn.Module] = []
    for before, after, stride, padding in [(8, 16, 1, 0), (16, 8, 2, 1), (8, 4, 2, 1), (4, 2, 2, 1)]:
        layers += [nn.ConvTranspose2d(before, after, 4, stride, padding, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
    layers += [nn.ConvTranspose2d(2, 3, 4, 2, 1, bias=False), nn.Tanh()]
    return {f"main.{key}": value for key, value in nn.Sequential(*layers).state_dict().items()}


@pytest.fixture(scope="module")
def plain(weights, tmp_path_factory) -> Tensor:
    """Two samples of the run that the plain file becomes."""
    place = tmp_path_factory.mktemp("plain")
    torch.save(weights, place / "a.pth")
    return ganforge.load(import_weights(place / "a.pth", "dcgan", place / "run"), "cpu").sample(2)


def under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {f"{prefix}.{key}": value for key, value in weights.items()}


WRAPPED: dict[str, Any] = {
    "a lone entry": lambda w: {"params_ema": w},
    "a lone entry among settings": lambda w: {"state_dict": w, "epoch": 3, "optim": {"state": {}}, "callbacks": {}},
    "one prefix": lambda w: under("netG", w),
    "DataParallel and a prefix": lambda w: under("module", under("netG", w)),
    "a prefix in an entry": lambda w: {"state_dict": under("generator", w), "epoch": 3},
}


@pytest.mark.parametrize("kind", WRAPPED)
def test_what_is_wrapped_around_weights_is_taken_off(weights, plain, tmp_path, kind):
    torch.save(WRAPPED[kind](weights), tmp_path / "a.pth")
    assert torch.equal(
        ganforge.load(import_weights(tmp_path / "a.pth", "dcgan", tmp_path / "run"), "cpu").sample(2), plain
    )


KEY = "main.3.weight"
BROKEN: dict[str, tuple[Any, str]] = {
    "NaN": (lambda w: {**w, KEY: w[KEY] * torch.nan}, f"{KEY} has values that are NaN"),
    "infinite": (lambda w: {**w, KEY: w[KEY] + torch.inf}, f"{KEY} has values that are NaN or infinite"),
    "complex": (lambda w: {**w, KEY: w[KEY].to(torch.complex64)}, f"{KEY} is of complex64"),
    "sparse": (lambda w: {**w, KEY: w[KEY].to_sparse()}, f"{KEY} is of sparse_coo"),
    "longer": (lambda w: {**w, KEY: torch.cat([w[KEY]] * 2)}, "does not fit"),
    "a number": (lambda w: {**w, KEY: w[KEY].sum()}, "does not fit"),
    "numbers for keys": (lambda w: dict(enumerate(w.values())), "no plain dictionary"),
    "several": (lambda w: {"params": w, "params_ema": w}, "params, params_ema: name one of them with --entry"),
    "empty": (lambda w: {"a": {}}, "no plain dictionary"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_broken_weights_are_one_sentence_and_leave_no_run(weights, tmp_path, capsys, kind):
    change, sentence = BROKEN[kind]
    torch.save(change(weights), tmp_path / "a.pth")
    assert main(["import", str(tmp_path / "a.pth"), "--as", "dcgan", "-o", str(tmp_path / "run")]) == 1
    error = capsys.readouterr().err
    assert sentence in error
    assert "a.pth" in error
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "setting", ["lr={", "lr=", "lr=!!python/object/apply:os.getcwd []", "lr=[1,2]", "lr", "latent=-1", "x=1"]
)
def test_odd_settings_are_one_sentence_and_leave_no_run(weights, tmp_path, capsys, setting):
    torch.save(weights, tmp_path / "a.pth")
    words = ["import", str(tmp_path / "a.pth"), "--as", "dcgan", "-o", str(tmp_path / "run"), "--config", setting]
    assert main(words) == 1
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / "run").exists()


def test_numbers_with_exponents_are_numbers(weights, tmp_path):
    torch.save(weights, tmp_path / "a.pth")
    words = ["import", str(tmp_path / "a.pth"), "--as", "dcgan", "-o", str(tmp_path / "run"), "--config", "lr=1e-5"]
    assert main(words) == 0
    assert ganforge.show(tmp_path / "run")["config"]["lr"] == 1e-5


def test_a_checkpoint_that_cannot_be_written_leaves_no_run(weights, tmp_path: Path, monkeypatch):
    def fail(_: Any) -> None:
        raise NotFiniteError("No.")

    torch.save(weights, tmp_path / "a.pth")
    monkeypatch.setattr(importing.Engine, "save", fail)
    with pytest.raises(GANForgeError, match=r"^No\.$"):
        import_weights(tmp_path / "a.pth", "dcgan", tmp_path / "run")
    assert not (tmp_path / "run").exists()
