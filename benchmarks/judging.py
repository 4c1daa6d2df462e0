"""Programs that evaluate: the features of a folder of JPEGs end to end, the Frechet distance, precision and recall."""

import contextlib
import os
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from benchmarks.program import Program

IMAGES, BATCH, SIDE = 32, 16, 299  # torch leaves oneDNN where one thread sees fewer than 16 images


def folder() -> Path:
    """JPEGs of smooth noise, the same for every program."""
    path = Path(tempfile.gettempdir()) / f"ganforge-bench-jpegs-{SIDE}-{IMAGES}"
    if not path.is_dir():
        draft = Path(tempfile.mkdtemp(dir=path.parent))
        chance = np.random.default_rng(0)
        for k in range(IMAGES):
            small = Image.fromarray(chance.integers(0, 256, (20, 20, 3), dtype=np.uint8))
            small.resize((SIDE, SIDE), Image.Resampling.BICUBIC).save(draft / f"{k:03d}.jpg", quality=92)
        with contextlib.suppress(OSError):  # another program was faster
            draft.rename(path)
    return path


def weights() -> Path:
    """Seeded weights of InceptionV3, the same for every program."""
    path = Path(tempfile.gettempdir()) / "ganforge-bench-inception.pth"
    if not path.is_file():
        from tests.metrics.extractors.test_inception import random_weights

        draft = path.with_name(f"{path.name}.{os.getpid()}")
        torch.save(random_weights(), draft)
        draft.replace(path)
    return path


def ours(precision: str = "fp32", resize: str = "tensorflow") -> Program:
    """GANForge from files to features."""
    from ganforge import system

    system.keep_memory()
    from ganforge.data.loader import to_images
    from ganforge.images import read
    from ganforge.metrics.extractors.base import extract_features
    from ganforge.metrics.extractors.inception import load_inception

    extractor = load_inception(weights(), resize=resize, precision=precision)  # pyright: ignore
    files = sorted(folder().iterdir())

    def play(steps: int) -> None:
        for _ in range(steps):
            groups = (files[k : k + BATCH] for k in range(0, IMAGES, BATCH))
            extract_features(extractor, (to_images(np.stack([read(file) for file in group])) for group in groups))

    return Program(play, images=IMAGES)


def pytorch_fid() -> Program:
    """pytorch-fid's own loop."""
    from pytorch_fid import fid_score, inception  # pyright: ignore[reportMissingImports]

    warnings.simplefilter("ignore")
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights())
    model = inception.InceptionV3([3])
    files = sorted(folder().iterdir())
    return Program(repeated(lambda: fid_score.get_activations(files, model, BATCH, num_workers=0)), images=IMAGES)


def torch_fidelity() -> Program:
    """torch-fidelity's own loop."""
    from torch_fidelity import utils  # pyright: ignore[reportMissingImports]

    warnings.simplefilter("ignore")
    settings: dict[str, Any] = {
        "input1": str(folder()), "cuda": False, "batch_size": BATCH, "verbose": False, "cache": False,
        "samples_find_deep": False, "feature_extractor_weights_path": str(weights()),
    }  # fmt: skip
    extractor = utils.create_feature_extractor("inception-v3-compat", ["2048"], **settings)
    return Program(
        repeated(lambda: utils.extract_featuresdict_from_input_id_cached(1, extractor, **settings)), images=IMAGES
    )


def torchmetrics() -> Program:
    """torchmetrics, fed with the same files."""
    from torchmetrics.image.fid import FrechetInceptionDistance  # pyright: ignore[reportMissingImports]

    warnings.simplefilter("ignore")
    metric = FrechetInceptionDistance(2048, feature_extractor_weights_path=str(weights()))
    files = sorted(folder().iterdir())

    def play() -> None:
        for k in range(0, IMAGES, BATCH):
            pixels = np.stack([np.asarray(Image.open(file)) for file in files[k : k + BATCH]])
            metric.update(torch.from_numpy(pixels).permute(0, 3, 1, 2), real=True)

    return Program(repeated(play), images=IMAGES)


def clean_fid() -> Program:
    """clean-fid's own loop; its network is a file that cannot be had here, so pytorch-fid's takes its place."""
    from cleanfid import fid  # pyright: ignore[reportMissingImports]
    from pytorch_fid import inception  # pyright: ignore[reportMissingImports]

    warnings.simplefilter("ignore")
    inception.load_state_dict_from_url = lambda *_, **__: torch.load(weights())
    network = inception.InceptionV3([3], resize_input=False, normalize_input=False).eval()

    def model(pictures: torch.Tensor) -> torch.Tensor:
        return network((pictures - 128) / 128)[0].flatten(1)

    files = [str(file) for file in sorted(folder().iterdir())]
    settings: dict[str, Any] = {"num_workers": 0, "batch_size": BATCH, "device": torch.device("cpu"), "verbose": False}
    return Program(repeated(lambda: fid.get_files_features(files, model, mode="clean", **settings)), images=IMAGES)


def repeated(do: Any) -> Any:
    """Repeat `do` without its output."""

    def play(steps: int) -> None:
        with contextlib.redirect_stdout(None):
            for _ in range(steps):
                do()

    return play


def distance(library: str = "ours", width: int = 2_048) -> Program:
    """The Frechet distance between two sets of statistics."""
    source = torch.Generator().manual_seed(0)
    sides = [torch.randn(2 * width, width, generator=source, dtype=torch.float64) + shift for shift in (0, 0.1)]
    if library == "ours":
        from ganforge.metrics.fid import Gaussian, frechet_distance

        ready = [Gaussian.of(side) for side in sides]
        return Program(repeated(lambda: frechet_distance(*ready)), images=1)
    moments = [m for side in sides for m in (side.mean(0).numpy(), np.cov(side.numpy(), rowvar=False))]
    if library == "clean-fid":
        from cleanfid.fid import frechet_distance as theirs  # pyright: ignore[reportMissingImports]

        return Program(repeated(lambda: theirs(*moments)), images=1)
    from torchmetrics.image.fid import _compute_fid  # pyright: ignore[reportMissingImports]

    tensors = [torch.from_numpy(m) for m in moments]
    return Program(repeated(lambda: _compute_fid(*tensors)), images=1)


def manifold(library: str = "ours", n: int = 10_000, width: int = 2_048) -> Program:
    """Precision, recall, density and coverage."""
    source = torch.Generator().manual_seed(0)
    real, fake = (torch.randn(n, width, generator=source).relu() + shift for shift in (0, 0.01))
    if library == "ours":
        from ganforge import system
        from ganforge.metrics.prdc import prdc

        system.keep_memory()
        return Program(repeated(lambda: prdc(real, fake)), images=n)
    from prdc import compute_prdc  # pyright: ignore[reportMissingImports]

    return Program(repeated(lambda: compute_prdc(real.numpy(), fake.numpy(), 5)), images=n)
