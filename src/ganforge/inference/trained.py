"""A trained game in its owner's hands: seeds, batches of any size, words where the game takes numbers."""

import inspect
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import Question, form, labels_of
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.tiles import translated


@dataclass
class Trained:
    """What `ganforge.train` and `ganforge.load` return."""

    game: Game[Any, Any]
    """The game, with averaged weights where the run has them."""
    path: Path
    """Its run folder."""
    model: str
    step: int
    """Rounds it was trained for."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def facts(self) -> Facts:
        """What its data decided: channels, sides, names of the classes."""
        return self.game.facts

    def sample(self, n: int, seed: int = 0, *, start: int = 0, batch: int = 64, **answers: Any) -> Tensor:
        """`n` pictures (n, C, H, W) in [-1, 1] on the CPU.

        Picture k of a seed is the same whatever `n` and `batch` are; `start` is the number of the first.
        `answers` are the game's own questions (`ganforge show RUN` lists them), words allowed.
        """
        self.can("sample")
        return torch.cat(list(self.samples(n, seed, start=start, batch=batch, **answers)))

    def samples(self, n: int, seed: int = 0, *, start: int = 0, batch: int = 64, **answers: Any) -> Iterator[Tensor]:
        """The same, one batch after another, for numbers that do not fit into memory."""
        self.can("sample")
        if n < 1:
            raise OptionError(f"{n} pictures cannot be drawn: ask for one or more.")
        for first in range(start, start + n, batch):
            rows = min(batch, start + n - first)
            with inference_mode(self.game) as game:
                game.draw = RowDraw(seed, first, self.device)
                pictures = game.sample(rows, **self.answered(game.sample, rows, answers))  # pyright: ignore
            yield pictures.float().cpu()

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
        """Walks between latents: (rows, steps, C, H, W) in [-1, 1].

        Row r goes from latent r to latent r + 1 of the seed; `closed` leads the last back to the first.
        """
        self.can("sample")
        if rows < 1 or steps < 2:
            raise OptionError(f"A walk of {rows} rows and {steps} steps cannot be drawn: 1 and 2 are the least.")
        with inference_mode(self.game) as game:
            game.draw = RowDraw(seed, 0, self.device)
            ends = game.noise(rows + (0 if closed else 1))  # pyright: ignore
            ends = torch.cat([ends, ends[:1]]) if closed else ends
            mixed = between(ends[:-1], ends[1:], steps, path).flatten(0, 1)
            pictures = [
                game.generate(part, **self.answered(game.generate, len(part), answers))  # pyright: ignore
                for part in mixed.split(64)
            ]
        return torch.cat(pictures).float().cpu().unflatten(0, (rows, steps))

    def traverse(self, rows: int = 1, steps: int = 10, seed: int = 0, **answers: Any) -> dict[str, Tensor]:
        """{code: (rows, values, C, H, W)} in [-1, 1]: the first latents of the seed with one code varied alone.

        `steps` is how many values a continuous code takes; a category takes each of its own.
        """
        self.can("traverse")
        if rows < 1 or steps < 2:
            raise OptionError(f"{rows} rows of {steps} steps cannot be drawn: 1 and 2 are the least.")
        with inference_mode(self.game) as game:
            game.draw = RowDraw(seed, 0, self.device)
            said = self.answered(game.traverse, rows, answers)  # pyright: ignore
            pictures = game.traverse(game.noise(rows), steps, **said)  # pyright: ignore
        return {code: row.float().cpu() for code, row in pictures.items()}

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
        """What the game makes of pictures (N, C_source, H, W) in [-1, 1]: (N, C, kH, kW) in [-1, 1] on the CPU.

        Sides of any length are welcome; large pictures are cut into tiles (see tiles.py).  What the game draws for
        picture k follows from (seed, start + k), whatever N and `batch` are: the same picture eight times gives
        eight answers.  `masks` (N, M, H, W) in {0, 1} are for games of instances.  A label may be a tensor with a row
        for each picture, as the game takes it.
        """
        self.can("translate")
        self.check_input(images, masks, bool(answers.get("reverse")))
        parts = []
        for first in range(0, len(images), batch):
            part = [t[first : first + batch].to(self.device) for t in (images, masks) if t is not None]
            with inference_mode(self.game) as game:
                own = {k: v[first : first + batch] if isinstance(v, Tensor) else v for k, v in answers.items()}
                said = self.answered(game.translate, len(part[0]), own)  # pyright: ignore

                def once(*tensors: Tensor, game: Any = game, said: Any = said, first: int = first) -> Tensor:
                    game.draw = RowDraw(seed, start + first, self.device)
                    return game.translate(*tensors, **said)

                parts.append(translated(once, part, game.multiple, tile, game.least).float().cpu())
        return torch.cat(parts)

    def check_input(self, images: Tensor, masks: Tensor | None, reverse: bool) -> None:
        """Raise OptionError for pictures or masks that the game cannot take."""
        channels = self.channels_in(reverse)
        if images.ndim != 4 or not len(images) or images.shape[1] != channels:
            raise OptionError(f"{self.model} takes pictures (N, {channels}, H, W), not {tuple(images.shape)}.")
        wanted = "masks" in inspect.signature(self.game.translate).parameters  # pyright: ignore
        if wanted != (masks is not None):
            takes = "needs a mask for each instance in a picture" if wanted else "takes no masks"
            raise OptionError(f"{self.model} {takes}.")
        if masks is not None and (
            masks.ndim != 4 or {(len(m), *m.shape[2:]) for m in (masks, images)} != {(len(images), *images.shape[2:])}
        ):
            raise OptionError(f"Masks {tuple(masks.shape)} do not fit pictures {tuple(images.shape)}.")

    def channels_in(self, reverse: bool = False) -> int:
        """Channels of the pictures that `translate` takes."""
        return self.facts.channels if reverse else self.facts.source_channels or self.facts.channels

    def can(self, verb: str) -> None:
        """Raise OptionError when the game does not have this capability."""
        if not hasattr(self.game, verb):
            raise OptionError(f"{self.model} cannot {verb}.")

    def answered(self, method: Any, rows: int, answers: Mapping[str, Any]) -> dict[str, Any]:
        """A person's answers as the arguments of a capability.  Raises OptionError for one it does not ask for."""
        questions = {question.name: question for question in form(method)}
        for name in answers:
            if name not in questions:
                asked = f"it asks for {', '.join(questions)}" if questions else "it asks for nothing"
                raise OptionError(f"{self.model} does not know --{name}; {asked}.")
        for name, question in questions.items():
            if question.required and answers.get(name) is None:
                there = ", ".join(labels_of(self.game)) if question.meaning == "label" else ""
                raise OptionError(f"{self.model} needs --{name}{f', of {there}' if there else ''}.")
        return {name: self.answer(questions[name], rows, said) for name, said in answers.items()}

    def answer(self, question: Question, rows: int, said: Any) -> Any:
        """One answer, checked, as the game takes it."""
        if question.meaning == "label" and isinstance(said, Tensor):
            if len(said) != rows:
                raise OptionError(f"--{question.name} has {len(said)} rows for {rows} pictures.")
            return said.to(self.device)
        if question.meaning == "label" and said is not None:
            if self.facts.attributes:
                meant = attribute_values(self.facts, said, question.unsaid, labels_of(self.game))
            else:
                meant = label_number(self.facts, said)
            wanted = torch.tensor(meant, device=self.device)
            return wanted.expand(rows, *wanted.shape)
        limits = question.limits
        if limits and said is not None and not limits.low <= said <= limits.high:
            raise OptionError(f"--{question.name} must lie between {limits.low} and {limits.high}, not {said}.")
        return said


def label_number(facts: Facts, said: str | int) -> int:
    """The number of a class by its name or number.  Raises OptionError naming the classes."""
    word = str(said)
    if word in facts.labels:
        return facts.labels.index(word)
    if word.isdigit() and int(word) < len(facts.labels):
        return int(word)
    raise OptionError(f"There is no class {said!r}; there are {', '.join(facts.labels) or 'none in this run'}.")


def attribute_values(
    facts: Facts, said: str | Sequence[float], unsaid: float = 0.0, editable: Sequence[str] = ()
) -> list[float]:
    """A vector of attributes: `red,large` has these and no others, `red=0.5,large` one of them by half.

    Others than those named are `unsaid`.  A number for each, `1,0.5,0`, is taken as well.

    Raises OptionError naming the attributes, or those that are `editable` where these are fewer.
    """
    words = [word.strip() for word in said.split(",")] if isinstance(said, str) else [str(value) for value in said]
    names, numbers = facts.attributes, [number(word) for word in words]
    if len(words) == len(names) and None not in numbers:
        return [value for value in numbers if value is not None]
    values = dict.fromkeys(names, unsaid)
    for word in words:
        name, _, amount = word.partition("=")
        value = number(amount or "1")
        if name not in values or value is None:
            known = editable or names
            raise OptionError(
                f"{word!r} is no attribute of this run's, which are {', '.join(known)}: name those to be seen, as in "
                f"{known[0]} or {known[0]}=0.5, or give {len(names)} numbers."
            )
        values[name] = value
    return list(values.values())


def number(word: str) -> float | None:
    """The finite number that a word spells, if it does."""
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def between(start: Tensor, end: Tensor, steps: int, path: Literal["spherical", "linear"]) -> Tensor:
    """(N, K) and (N, K) -> (N, steps, K): from start to end, ends included.

    A straight line between two Gaussian vectors passes where hardly any latent lies; the arc keeps the length
    that they have (Shoemake 1985; White 2016, section 2).
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
