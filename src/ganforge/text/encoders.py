"""Pretrained text encoders of other people, frozen: the only file that imports transformers, and only when asked to.

    hf:sentence-transformers/all-MiniLM-L6-v2       from the cache of the Hugging Face hub, else downloaded
    path/to/folder                                  with config.json, *.safetensors and tokenizer.json

Weights are read from safetensors alone, and no code that lies beside them is run (docs/security.md).
"""

import hashlib
import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.files import reason, sha256
from ganforge.text.tokeniser import FIRST, UNKNOWN, FrozenTokeniser

HUB = "hf:"
KEPT = ("*.json", "*.txt", "*.model", "*.safetensors", "1_Pooling/config.json")
"""The files that such an encoder is made of."""
LONGEST = 77  # tokens of a sentence, at most: CLIP's
ROWS = 16  # rows that are computed at once, whatever is asked for, so that a row has the same features in any batch
TABLE = 2**28  # bytes of features that are kept
POOLED = {"cls_token": "first", "cls": "first", "mean_tokens": "mean", "mean": "mean"}
"""{what sentence-transformers calls a pooling: ours}."""


@dataclass(frozen=True)
class Frozen:
    """A pretrained text encoder, its tokeniser, and the folder of its files."""

    encoder: "FrozenEncoder"
    tokeniser: FrozenTokeniser
    folder: Path


class FrozenEncoder(nn.Module):
    """tokens (N, T) -> features (N, T, K), 0 behind the end, and pooled (N, K), rounded to half precision.

    The features of rows that were seen before are looked up; no checkpoint holds them.
    """

    def __init__(self, network: nn.Module, width: int, pooling: str, unknown: int) -> None:
        """`pooling`: `own` is the network's own, `first` the first token's features, `mean` their mean."""
        super().__init__()
        self.network, self.text_width, self.pooling, self.unknown = network, width, pooling, unknown
        self.table: dict[bytes, tuple[Tensor, Tensor]] = {}

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        rows = tokens.cpu().contiguous()
        keys = [row.numpy().tobytes() for row in rows]
        missing = {key: number for number, key in enumerate(keys) if key not in self.table}
        found = {key: self.table[key] for key in keys if key in self.table}
        numbers = [*missing.values()]
        for start in range(0, len(numbers), ROWS):
            part = numbers[start : start + ROWS]
            filled = part + part[-1:] * (ROWS - len(part))
            made = self.compute(tokens[filled], mask[filled])
            for place, number in enumerate(part):
                found[keys[number]] = (made[0][place].clone(), made[1][place].clone())
        self.keep({key: found[key] for key in missing})
        features, pooled = (torch.stack([found[key][side] for key in keys]) for side in (0, 1))
        return features.to(tokens.device).float(), pooled.to(tokens.device).float()

    def compute(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """The same without the table, in half precision."""
        ids = torch.where(tokens == UNKNOWN, self.unknown, (tokens - FIRST).clamp(min=0))
        with torch.no_grad(), torch.autocast(tokens.device.type, enabled=False):
            out = self.network(input_ids=ids, attention_mask=mask.long())
            features = out.last_hidden_state * mask[..., None]
            if self.pooling == "own":
                pooled = out.pooler_output
            elif self.pooling == "first":
                pooled = features[:, 0]
            else:
                pooled = features.sum(1) / mask.sum(1, keepdim=True).clamp(min=1)
        return features.half(), pooled.half()

    def keep(self, rows: dict[bytes, tuple[Tensor, Tensor]]) -> None:
        """Add rows to the table; the oldest leave it where it would be larger than TABLE."""
        self.table |= rows
        if rows:
            size = sum(2 * side.numel() for side in next(iter(rows.values())))
            for key in [*self.table][: max(0, len(self.table) - TABLE // size)]:
                del self.table[key]


def is_encoder(spelling: str) -> bool:
    """Whether `hf:NAME`, or a folder with the files of such an encoder, is named, rather than a run."""
    folder = Path(spelling)
    return spelling.startswith(HUB) or ((folder / "config.json").is_file() and not (folder / "config.yaml").exists())


def load_encoder(spelling: str) -> Frozen:
    """The encoder of `hf:NAME` or of a folder, in evaluation mode on the CPU.

    Raises ModelError where transformers or the files are missing, or weights are not in safetensors.
    """
    transformers = import_transformers()
    folder = find_on_hub(spelling.removeprefix(HUB)) if spelling.startswith(HUB) else Path(spelling)
    check_files(folder, spelling)
    own: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    try:
        config = transformers.AutoConfig.from_pretrained(folder, **own)
        kind, clip = choose_class(transformers, config)
        network = kind.from_pretrained(folder, use_safetensors=True, dtype=torch.float32, **own)
        fast = transformers.AutoTokenizer.from_pretrained(folder, use_fast=True, **own)
        text = fast.backend_tokenizer.to_str()
    except Exception as error:  # transformers fails in as many ways as there are files
        raise ModelError(
            f"{spelling} is no text encoder that transformers {transformers.__version__} can open without running "
            f"code of others ({type(error).__name__}: {reason(error)[:200]})."
        ) from error
    inner = getattr(config, "text_config", None) if clip else config
    most = getattr(inner or config, "max_position_embeddings", LONGEST) or LONGEST
    tokeniser = FrozenTokeniser(text, min(LONGEST, int(most), int(fast.model_max_length)), fast.unk_token_id)
    unknown = fast.unk_token_id if fast.unk_token_id is not None else 0
    width = int((inner or config).hidden_size)
    encoder = FrozenEncoder(network.eval().requires_grad_(False), width, "own" if clip else pooling_of(folder), unknown)
    return Frozen(encoder, tokeniser, folder)


def import_transformers() -> Any:
    """The package.  Raises ModelError where it is missing."""
    try:
        transformers = import_module("transformers")
    except ImportError as error:
        raise ModelError(
            "A pretrained text encoder needs the package transformers: pip install 'ganforge[text]'."
        ) from error
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def choose_class(transformers: Any, config: Any) -> tuple[Any, bool]:
    """(the class of the network, whether it is CLIP's): its text side alone."""
    if config.model_type in ("clip", "clip_text_model"):
        return transformers.CLIPTextModel, True
    if getattr(config, "is_encoder_decoder", False):  # T5
        return transformers.AutoModelForTextEncoding, False
    return transformers.AutoModel, False


def find_on_hub(name: str) -> Path:
    """The folder of a model of the Hugging Face hub: the one in the cache, else downloaded.

    Raises ModelError, naming the command, where it is in neither.
    """
    from huggingface_hub import snapshot_download

    options: dict[str, Any] = {"allow_patterns": [*KEPT], "ignore_patterns": ["*/*.safetensors"]}
    try:
        return Path(snapshot_download(name, local_files_only=True, **options))
    except Exception:  # not there, or no name: the hub says which
        pass
    try:
        return Path(snapshot_download(name, **options))
    except Exception as error:
        raise ModelError(
            f"hf:{name} is not on this machine and cannot be downloaded ({type(error).__name__}: "
            f"{reason(error)[:160]}): run `hf download {name}` where there is a network, and name the folder."
        ) from error


def check_files(folder: Path, spelling: str) -> None:
    """Raise ModelError for a folder without the files of an encoder."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"{spelling} is no text encoder: it has no config.json.")
    if not [*folder.glob("*.safetensors")]:
        if [*folder.glob("*.bin")]:
            raise ModelError(
                f"{spelling} has its weights in a .bin file, which could run code when it is opened: convert it where "
                "you trust it, with transformers: AutoModel.from_pretrained(FOLDER).save_pretrained(NEW), and name NEW."
            )
        raise ModelError(f"{spelling} has no weights: a file model.safetensors belongs beside its config.json.")


def pooling_of(folder: Path) -> str:
    """How a sentence is made of its tokens, by sentence-transformers' file: `first` or `mean`; without one `mean`.

    Raises ModelError for another pooling, and for a file that cannot be read.
    """
    path = folder / "1_Pooling" / "config.json"
    if not path.is_file():
        return "mean"
    try:
        options = json.loads(path.read_text("utf-8"))
        active = [name for name, value in options.items() if name.startswith("pooling_mode_") and value is True]
        active = [str(options["pooling_mode"])] if "pooling_mode" in options else active
    except (OSError, ValueError, RecursionError, AttributeError) as error:
        raise ModelError(f"{path} cannot be read ({reason(error)[:160]}): copy the encoder's folder again.") from error
    if len(active) != 1 or active[0].removeprefix("pooling_mode_") not in POOLED:
        modes = ", ".join(active)[:160] or "nothing"
        raise ModelError(f"{path} pools by {modes}, and not by the mean or the first token: take another encoder.")
    return POOLED[active[0].removeprefix("pooling_mode_")]


def files_of(folder: Path) -> Iterator[Path]:
    """The files of an encoder in a folder."""
    yield from sorted({file for pattern in KEPT for file in folder.glob(pattern) if file.is_file()})


def hash_encoder(folder: Path) -> str:
    """SHA-256 of an encoder's files, with their names."""
    found = {file.relative_to(folder).as_posix(): sha256(file) for file in files_of(folder)}
    return hashlib.sha256(json.dumps(found, sort_keys=True).encode()).hexdigest()


def copy_encoder(folder: Path, target: Path) -> None:
    """Copy an encoder's files into the folder `target`, which is made.  Raises OSError where that fails."""
    for file in files_of(folder):
        to = target / file.relative_to(folder)
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, to)
