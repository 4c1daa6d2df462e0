"""Sets of images to evaluate that a run makes: sampled, translated, or converted to be comparable.

Outputs of a run are rounded to 8 bits first, as image files hold them: a metric must not depend on whether images
were written to disk before they were evaluated.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import capabilities, text_questions
from ganforge.data.dataset import DataSet
from ganforge.data.loader import BatchLoader, to_images
from ganforge.data.places_sheet import draw_places
from ganforge.data.tokens import TokenColumn
from ganforge.draw import RowDraw, mix
from ganforge.errors import DataError
from ganforge.images import recolour, to_uint8
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.input_columns import input_columns
from ganforge.inference.load import RunLike, load, parse_run_address
from ganforge.inference.trained import Trained
from ganforge.metrics.extractors.resize import resize_images, to_255
from ganforge.metrics.image_set import ImageSet, select_images, subsample
from ganforge.run import Run
from ganforge.runs.folder import is_run


def load_run(what: RunLike, device: str = "auto", trust: bool = False) -> Trained | None:
    """The run that `what` names, or None where it is not a run folder."""
    path, _ = parse_run_address(what)
    return load(what, device, trust=trust) if is_run(path) else None


def sample_images(
    trained: Trained, n: int, seed: int, labels: np.ndarray | None, data: DataSet | None = None, **options: Any
) -> ImageSet:
    """`n` samples of a run; a conditional game gets the classes `labels` (m,), repeated, in a seeded random order.

    A game that reads sentences gets captions of `data` in such an order.  `options` are others of the game's own.
    """
    questions = {q.meaning: q.name for q in reversed(capabilities(trained.game)["sample"])}
    answers, classes, sentences = dict[str, Tensor](), None, list[str]()
    if "label" in questions and trained.game.labelled and labels is not None and trained.facts.labels:
        classes = np.random.Generator(np.random.Philox(seed)).permutation(np.resize(labels, n))
        answers[questions["label"]] = torch.from_numpy(classes)
    column = data.columns.get("tokens") if data is not None else None
    if "text" in questions and isinstance(column, TokenColumn):
        chance = np.random.Generator(np.random.Philox(seed))
        chosen = chance.permutation(np.resize(np.arange(len(column)), n))
        numbers = chance.integers(2**62, size=n)
        answers[questions["text"]] = torch.from_numpy(column.redraw(chosen, numbers))
        sentences = column.choose(chosen, numbers)

    def rows(start: int, stop: int) -> Tensor:
        n, own = stop - start, {name: answer[start:stop] for name, answer in answers.items()}
        return round_to_8_bits(trained.sample(n, seed, start=start, batch=n, **own, **options), trained)

    return ImageSet(f"{trained.path} (step {trained.step})", n, rows, classes, tuple(sentences))


def step_from_codes(trained: Trained, seed: int, start: int, stop: int, step: float) -> tuple[Tensor, Tensor]:
    """Images (n, C, H, W) of the codes `start` to `stop`, and of those codes moved by `step` to codes of another seed.

    Whatever else the game draws, such as noise of its layers, is the same in both.
    """
    with inference_mode(trained.game, RowDraw(seed, start, trained.device)) as game:
        codes = game.code(game.noise(stop - start))  # pyright: ignore[reportCallIssue]
        game.draw = RowDraw(mix(seed, 1), start, trained.device)
        others = game.code(game.noise(stop - start))  # pyright: ignore[reportCallIssue]
        images = []
        for w in (codes.w, torch.lerp(codes.w, others.w, step)):
            game.draw = RowDraw(seed, start, trained.device)
            images.append(game.decode(replace(codes, w=w)).float().cpu())  # pyright: ignore[reportCallIssue]
    return images[0], images[1]


def translate_images(
    trained: Trained,
    sources: ImageSet,
    seed: int,
    masks: ImageSet | None = None,
    answers: Mapping[str, Any] = MappingProxyType({}),
) -> ImageSet:
    """Outputs of a translator, one per source image; `masks` are the instance masks of the sources.

    `answers` holds further arguments of `translate` by name, each a tensor with one row per image.
    """

    def rows(start: int, stop: int) -> Tensor:
        own = masks.rows(start, stop) if masks is not None else None
        given = {name: answer[start:stop] for name, answer in answers.items()}
        return round_to_8_bits(
            trained.translate_batches(sources.rows(start, stop), seed, masks=own, start=start, **given), trained
        )

    return ImageSet(f"{trained.path} (step {trained.step})", sources.count, rows)


def captions_of(trained: Trained, data: DataSet, n: int) -> dict[str, Tensor]:
    """The captions (n, T) of the first `n` rows that `select_images` takes, where `translate` asks for a sentence."""
    column, names = data.columns.get("tokens"), text_questions(trained.game.translate)  # pyright: ignore
    if not names or not isinstance(column, TokenColumn):
        return {}
    return {names[0]: torch.from_numpy(column[subsample(np.arange(len(data)), n)])}


def open_places(trained: Trained, data: DataSet, n: int) -> tuple[ImageSet, ImageSet, Callable[[int], ImageSet]]:
    """(label maps or layouts as pictures, the images, seed -> outputs) of the first `n` rows, in centre windows."""
    game = trained.game
    real, rows = select_images(data, most=n), subsample(np.arange(len(data)), n)
    loader = BatchLoader(data, game.batch_type, Run(batch=1))
    names = [name for name in input_columns(game) if name in data.columns]

    def read(start: int, stop: int) -> dict[str, Tensor]:
        return {name: loader.read(name, rows[start:stop], rows[start:stop]) for name in names}

    def draw(start: int, stop: int) -> Tensor:
        return to_images(draw_places(read(start, stop), trained.facts))

    def generate(seed: int) -> ImageSet:
        def make(start: int, stop: int) -> Tensor:
            return round_to_8_bits(trained.translate_columns(read(start, stop), seed, start=start), trained)

        return ImageSet(f"{trained.path} (step {trained.step})", real.count, make)

    return ImageSet(data.name, real.count, draw), real, generate


def embed_captioned(trained: Trained, images: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """A text encoder's features (N, K), on the CPU, of images (N, C, H, W) and of sentences (N, T)."""
    images, tokens = images.to(trained.device), tokens.to(trained.device)
    with inference_mode(trained.game) as game:
        seen, (_, read) = game.embed(images), game(tokens, tokens > 0)  # pyright: ignore
    return seen.float().cpu(), read.float().cpu()


def match_sentences(reader: Trained, images: ImageSet, start: int, stop: int) -> tuple[Tensor, Tensor, Tensor]:
    """Features (n, K) of images `start` to `stop`, and of their sentences, by a text encoder's run; tokens (n, T)."""
    assert reader.tokeniser is not None
    facts, tokens = reader.facts, torch.from_numpy(reader.tokeniser.encode(images.sentences[start:stop]))
    sized = convert_images(images, (facts.height, facts.width), facts.channels)
    return (*embed_captioned(reader, sized.rows(start, stop), tokens), tokens)


def make_superresolution_pair(images: ImageSet, trained: Trained) -> tuple[ImageSet, ImageSet]:
    """(low-resolution inputs, high-resolution targets) for a superresolution game, from the same images."""
    small = images.rows(0, 1)
    scale = (
        translate_images(trained, ImageSet("", 1, lambda start, stop: small), 0).rows(0, 1).shape[2] // small.shape[2]
    )
    height, width = (side // scale * scale for side in small.shape[2:])

    def targets(start: int, stop: int) -> Tensor:
        return images.rows(start, stop)[..., :height, :width]

    def rows(start: int, stop: int) -> Tensor:
        return round_to_8_bits(
            resize_images(to_255(targets(start, stop)), (height // scale, width // scale)) / 127.5 - 1, trained
        )

    return replace(images, rows=rows), replace(images, rows=targets)


def convert_images(image_set: ImageSet, size: tuple[int, ...], channels: int) -> ImageSet:
    """The same images at another size and with other channels, so that different runs can be compared.

    Size () and channels 0 leave them unchanged.
    """
    if not size and not channels:
        return image_set

    def rows(start: int, stop: int) -> Tensor:
        images = image_set.rows(start, stop)
        if channels not in (0, images.shape[1]):
            images = to_images(np.stack([recolour(image, channels) for image in to_uint8(images)]))
        return resize_images(to_255(images), (size[0], size[-1])) / 127.5 - 1 if size else images

    return replace(image_set, rows=rows)


def round_to_8_bits(images: Tensor, trained: Trained) -> Tensor:
    """Images rounded as an 8-bit file stores them, in [-1, 1].  Raises DataError for NaN or infinite values."""
    images = images.float().cpu()
    if not images.isfinite().all():
        raise DataError(
            f"{trained.path} produces NaN or infinite values at step {trained.step}: training has diverged, so "
            "evaluate an earlier checkpoint as RUN@STEP."
        )
    return to_images(to_uint8(images))


def choose_size(size: tuple[int, ...], facts: Facts) -> tuple[int, int]:
    """Height and width of `size` (side, or height and width), or those of the facts where it is empty."""
    return (size[0], size[-1]) if size else (facts.height, facts.width)
