"""The character CNN-RNN of reedscot/icml2016, `modules/HybridCNNLong.lua` with `modules/FixedGRU.lua`.

A Torch 7 file holds modules without names: keys are NUMBER_CLASS.weight and .bias, numbered depth first.  A temporal
convolution, there (out, kernel * in), is (out, in, kernel) here.  `avg` changes the order of two layers.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from ganforge.models.text_encoder import CharCNNRNN
from ganforge.official import Adapter, State
from ganforge.text.tokeniser import FIRST, PieceTokeniser, Tokeniser
from ganforge.text.vocabulary import ALPHABET

LENGTH = 201
NEVER = "\ue000"  # stands for the first of two equal letters, whose number no text has
UNITS = ("new_x", "update_x", "update_h", "reset_x", "reset_h", "new_h")


class DocumentCNN(Adapter):
    """one-hot letters (N, 201, alphasize) -> features (N, emb_dim)."""

    called = ("DocumentCNN", "DocumentCNN.cnn")
    file = "modules/HybridCNNLong.lua + FixedGRU.lua"
    fills = ("text_encoder.text_network",)

    def __init__(
        self, alphasize: int = 70, emb_dim: int = 1024, dropout: float = 0.0, avg: int = 0, cnn_dim: int = 256
    ) -> None:
        layers = {f"{i:02d}_TemporalConvolution": f"layers.{i}" for i in range(3)}
        units = UNITS if avg else ("update_x", "new_x", "update_h", "reset_x", "reset_h", "new_h")
        layers |= {f"{i:02d}_Linear": f"units.{name}" for i, name in enumerate(units, 3)}
        ours = CharCNNRNN(alphasize, (384, 512, cnn_dim), emb_dim, average=bool(avg))
        super().__init__(ours, {**layers, "09_Linear": "out"})
        self.letters = alphasize

    def forward(self, letters: Tensor) -> Tensor:
        tokens = (letters.argmax(2) + FIRST) * (letters.amax(2) > 0)
        return self.network(tokens, tokens > 0)[1]

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        first, last = state["00_TemporalConvolution.weight"], state["09_Linear.weight"]
        return {"alphasize": first.shape[1], "emb_dim": last.shape[0], "cnn_dim": last.shape[1]}

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        return () if "avg" in given else ("avg",)

    @classmethod
    def complete(cls, state: State, given: Mapping[str, Any]) -> dict[str, Any]:
        return {"avg": 1, **cls.arguments(state), **given}  # train_coco_txt.sh

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = {"emb_dim": 1024, "avg": 0, "cnn_dim": 256, "alphasize": len(ALPHABET), **arguments}
        filters, average = (384, 512, a["cnn_dim"]), bool(a["avg"])
        config = {"networks": "char-cnn-rnn", "width": a["emb_dim"], "filters": filters, "average": average}
        return config, {"vocabulary": a["alphasize"] + FIRST, "caption_length": LENGTH}

    def tokeniser(self) -> Tokeniser | None:
        letters = [NEVER if letter in ALPHABET[k + 1 :] else letter for k, letter in enumerate(ALPHABET)]
        return PieceTokeniser("characters", tuple(letters), LENGTH) if self.letters == len(letters) else None
