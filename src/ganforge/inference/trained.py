"""User-facing wrapper of a trained game: seeding, batching, and conversion of label names to tensors."""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import Question, labels_of, list_questions
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.inference_mode import inference_mode, sample_batches
from ganforge.inference.tiles import translate_tiled


@dataclass
class Trained:
    """A trained game: what `ganforge.train` and `ganforge.load` return."""

    game: Game[Any, Any]
    """The game, with averaged weights where the run has them."""
    path: Path
    """Its run folder."""
    model: str
    step: int
    """Training steps of the checkpoint."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """{column: the values of the data's files that -1 and 1 stand for}, of scientific images alone."""

    @property
    def facts(self) -> Facts:
        """The facts of its data: channels, sides, names of the classes."""
        return self.game.facts

    def sample(self, n: int, seed: int = 0, *, start: int = 0, batch: int = 64, **answers: Any) -> Tensor:
        """`n` images (n, C, H, W) in [-1, 1] on the CPU.

        Image k of a seed is the same for any `n` and `batch`; `start` is the number of the first.  `answers` are the
        game's own options (`ganforge show RUN` lists them); labels may be given by name.

        Raises OptionError for a game that does not sample, and for invalid options.
        """
        self.require("sample")
        return torch.cat(list(self.samples(n, seed, start=start, batch=batch, **answers)))

    def samples(self, n: int, seed: int = 0, *, start: int = 0, batch: int = 64, **answers: Any) -> Iterator[Tensor]:
        """As `sample`, one batch after another, for more images than fit into memory."""
        self.require("sample")
        if n < 1:
            raise OptionError(f"{n} images cannot be drawn: ask for one or more.")

        def options(rows: int) -> dict[str, Any]:
            return self.convert_answers(self.game.sample, rows, answers)  # pyright: ignore

        for images in sample_batches(self.game, n, seed, self.device, start=start, batch=batch, options=options):
            yield images.float().cpu()

    def interpolate(
        self,
        rows: int = 8,
        steps: int = 10,
        seed: int = 0,
        *,
        path: Literal["spherical", "linear"] = "spherical",
        closed: bool = False,
        **answers: Any,
    ) -> Tensor:
        """Interpolations between latents: (rows, steps, C, H, W) in [-1, 1].

        Row r goes from latent r to latent r + 1 of the seed; with `closed` the last row returns to the first latent.
        """
        self.require("sample")
        if rows < 1 or steps < 2:
            raise OptionError(f"{rows} rows of {steps} steps are not possible: ask for at least 1 row and 2 steps.")
        with inference_mode(self.game, RowDraw(seed, 0, self.device)) as game:
            ends = game.noise(rows + (0 if closed else 1))  # pyright: ignore
            ends = torch.cat([ends, ends[:1]]) if closed else ends
            mixed = interpolate_latents(ends[:-1], ends[1:], steps, path).flatten(0, 1)
            images = [
                game.generate(part, **self.convert_answers(game.generate, len(part), answers))  # pyright: ignore
                for part in mixed.split(64)
            ]
        return torch.cat(images).float().cpu().unflatten(0, (rows, steps))

    def traverse(self, rows: int = 1, steps: int = 10, seed: int = 0, **answers: Any) -> dict[str, Tensor]:
        """{code: (rows, values, C, H, W)} in [-1, 1]: the first latents of the seed with one code varied at a time.

        `steps` is the number of values of a continuous code; a category takes each of its values.
        """
        self.require("traverse")
        if rows < 1 or steps < 2:
            raise OptionError(f"{rows} rows of {steps} steps are not possible: ask for at least 1 row and 2 steps.")
        with inference_mode(self.game, RowDraw(seed, 0, self.device)) as game:
            options = self.convert_answers(game.traverse, rows, answers)  # pyright: ignore
            images = game.traverse(game.noise(rows), steps, **options)  # pyright: ignore
        return {code: row.float().cpu() for code, row in images.items()}

    def translate(
        self,
        images: Tensor,
        seed: int = 0,
        *,
        masks: Tensor | None = None,
        start: int = 0,
        batch: int = 16,
        tile: int = 0,
        **answers: Any,
    ) -> Tensor:
        """Translate images (N, C_source, H, W) in [-1, 1] to (N, C, kH, kW) in [-1, 1] on the CPU.

        Images may have any size; large ones are split into tiles (see tiles.py).  The random numbers of image k follow
        from (seed, start + k), for any N and `batch`: eight copies of an image give eight results.  `masks` (N, M, H,
        W) in {0, 1} are for games of instances.  A label may be a tensor with a row per image, as the game takes it.

        Raises OptionError for a game that does not translate, and for invalid images, masks or options.
        """
        self.require("translate")
        self.check_input(images, masks, bool(answers.get("reverse")))
        parts = []
        for first in range(0, len(images), batch):
            part = [t[first : first + batch].to(self.device) for t in (images, masks) if t is not None]
            with inference_mode(self.game) as game:
                own = {k: v[first : first + batch] if isinstance(v, Tensor) else v for k, v in answers.items()}
                options = self.convert_answers(game.translate, len(part[0]), own)  # pyright: ignore

                def network(*tensors: Tensor, game: Any = game, options: Any = options, first: int = first) -> Tensor:
                    game.draw = RowDraw(seed, start + first, self.device)
                    return game.translate(*tensors, **options)

                parts.append(translate_tiled(network, part, game.multiple, tile, game.least).float().cpu())
        return torch.cat(parts)

    def check_input(self, images: Tensor, masks: Tensor | None, reverse: bool) -> None:
        """Raise OptionError for images or masks of the wrong shape, and for missing or superfluous masks."""
        channels = self.channels_in(reverse)
        if images.ndim != 4 or not len(images) or images.shape[1] != channels:
            raise OptionError(f"{self.model} takes images (N, {channels}, H, W), not {tuple(images.shape)}.")
        takes_masks = "masks" in inspect.signature(self.game.translate).parameters  # pyright: ignore
        if takes_masks != (masks is not None):
            problem = "needs a mask for each instance in an image" if takes_masks else "takes no masks"
            raise OptionError(f"{self.model} {problem}.")
        if masks is not None and (
            masks.ndim != 4 or {(len(m), *m.shape[2:]) for m in (masks, images)} != {(len(images), *images.shape[2:])}
        ):
            raise OptionError(f"Masks {tuple(masks.shape)} do not fit images {tuple(images.shape)}.")

    def channels_in(self, reverse: bool = False) -> int:
        """Number of channels of `translate`'s input."""
        return self.facts.channels if reverse else self.facts.source_channels or self.facts.channels

    def range_in(self, reverse: bool = False) -> tuple[float, float] | None:
        """The range of values of the files that `translate` takes; None where white is that of their type."""
        columns = type(self.game).batch_type.columns()
        if "b" in columns:
            return self.ranges.get("b" if reverse else "a")
        return self.ranges.get("source" if "source" in columns else "low" if "low" in self.ranges else "images")

    def range_out(self, reverse: bool = False) -> tuple[float, float] | None:
        """The range of values of the files that the outputs stand for; None where white is that of their type."""
        columns = type(self.game).batch_type.columns()
        if "b" in columns:
            return self.ranges.get("a" if reverse else "b")
        return self.ranges.get("target" if "target" in columns else "images")

    def require(self, verb: str) -> None:
        """Raise OptionError unless the game has this capability."""
        if not hasattr(self.game, verb):
            raise OptionError(f"{self.model} cannot {verb}.")

    def convert_answers(self, method: Any, rows: int, answers: Mapping[str, Any]) -> dict[str, Any]:
        """Convert a user's options to the arguments of a capability.

        Raises OptionError for unknown options, invalid values and missing ones.
        """
        questions = {question.name: question for question in list_questions(method)}
        for name in answers:
            if name not in questions:
                known = f"its options are {', '.join(questions)}" if questions else "it has no options"
                raise OptionError(f"{self.model} does not know --{name}; {known}.")
        for name, question in questions.items():
            if question.required and answers.get(name) is None:
                labels = ", ".join(labels_of(self.game)) if question.meaning == "label" else ""
                raise OptionError(f"{self.model} needs --{name}{f', of {labels}' if labels else ''}.")
        return {name: self.convert_answer(questions[name], rows, value) for name, value in answers.items()}

    def convert_answer(self, question: Question, rows: int, value: Any) -> Any:
        """Check one option and convert it to the game's argument."""
        if question.meaning == "label" and isinstance(value, Tensor):
            if len(value) != rows:
                raise OptionError(f"--{question.name} has {len(value)} rows for {rows} images.")
            return value.to(self.device)
        if question.meaning == "label" and value is not None:
            if self.facts.attributes:
                label = parse_attributes(self.facts, value, question.unnamed, labels_of(self.game))
            else:
                label = find_label(self.facts, value)
            tensor = torch.tensor(label, device=self.device)
            return tensor.expand(rows, *tensor.shape)
        limits = question.limits
        if limits and value is not None and not limits.low <= value <= limits.high:
            raise OptionError(f"--{question.name} must lie between {limits.low} and {limits.high}, not {value}.")
        return value


def find_label(facts: Facts, value: str | int) -> int:
    """The index of a class, given by name or index.  Raises OptionError, naming the classes."""
    word = str(value)
    if word in facts.labels:
        return facts.labels.index(word)
    if word.isdigit() and int(word) < len(facts.labels):
        return int(word)
    raise OptionError(f"There is no class {value!r}; there are {', '.join(facts.labels) or 'none in this run'}.")


def parse_attributes(
    facts: Facts, text: str | Sequence[float], unnamed: float = 0.0, editable: Sequence[str] = ()
) -> list[float]:
    """A vector of attributes: `red,large` sets these to 1, `red=0.5,large` one of them to 0.5.

    Attributes that are not named have the value `unnamed`.  A number for each, `1,0.5,0`, is accepted too.

    Raises OptionError naming the attributes, or those that are `editable` where these are fewer.
    """
    words = [word.strip() for word in text.split(",")] if isinstance(text, str) else [str(value) for value in text]
    names, numbers = facts.attributes, [parse_number(word) for word in words]
    if len(words) == len(names) and None not in numbers:
        return [value for value in numbers if value is not None]
    values = dict.fromkeys(names, unnamed)
    for word in words:
        name, _, amount = word.partition("=")
        value = parse_number(amount or "1")
        if name not in values or value is None:
            known = editable or names
            raise OptionError(
                f"{word!r} is no attribute of this run, whose attributes are {', '.join(known)}: name the wanted "
                f"ones, as in {known[0]} or {known[0]}=0.5, or give {len(names)} numbers."
            )
        values[name] = value
    return list(values.values())


def parse_number(word: str) -> float | None:
    """The finite number in a word; None where it is not one."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def interpolate_latents(start: Tensor, end: Tensor, steps: int, path: Literal["spherical", "linear"]) -> Tensor:
    """Interpolate (N, K) and (N, K) -> (N, steps, K), ends included.

    A straight line between two Gaussian vectors passes through points that are much shorter than any latent; the arc
    keeps their length (Shoemake 1985; White 2016, section 2).
    """
    t = torch.linspace(0, 1, steps, device=start.device)[None, :, None]
    a, b = start[:, None], end[:, None]
    line = a + (b - a) * t
    if path == "linear":
        return line
    cosine = (a * b).sum(-1, keepdim=True) / (a.norm(dim=-1, keepdim=True) * b.norm(dim=-1, keepdim=True))
    angle = cosine.clamp(-1, 1).acos()
    arc = (((1 - t) * angle).sin() * a + (t * angle).sin() * b) / angle.sin()
    return torch.where(angle.sin() < 1e-4, line, arc)  # where the arc is a line, or undefined
