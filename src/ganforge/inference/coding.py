"""What a trained run does with codes: find those of photographs, draw them, move them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import Codes, offers
from ganforge.catalogue import able
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.codes import Photograph, draw_photographs, load_photograph, save_photograph, split_codes
from ganforge.inference.directions import add_up, load_directions
from ganforge.inference.given_images import check_call, to_tensor
from ganforge.inference.hashes import hash_run
from ganforge.inference.inference_mode import inference_mode
from ganforge.inference.inversion import Inversion, Progress, find_photographs, no_progress
from ganforge.inference.latents import interpolate_latents, number_ends
from ganforge.inference.scoring import scaled_sides
from ganforge.inference.tiles import resize


def fit_window(images: Tensor, facts: Facts) -> Tensor:
    """Images (N, C, H, W) at the facts' size: resized until the window just fits in, and cut in the middle."""
    scaled = resize(images, scaled_sides((images.shape[2], images.shape[3]), facts))
    top, left = (scaled.shape[2] - facts.height) // 2, (scaled.shape[3] - facts.width) // 2
    return scaled[:, :, top : top + facts.height, left : left + facts.width]


class Coding:
    """The part of `Trained` that has to do with codes."""

    game: Game[Any, Any]
    path: Path
    model: str
    step: int
    device: torch.device

    @property
    def facts(self) -> Facts:
        """The facts of its data: channels, sides, names of the classes."""
        return self.game.facts

    def require(self, verb: str) -> None:
        """Raise OptionError unless the game has this capability."""
        if not offers(self.game, verb):
            raise OptionError(f"{self.model} cannot {verb}; of the models, {able(verb)} can.")

    def invert(
        self, images: Any, seed: int = 0, *, batch: int = 16, progress: Progress = no_progress, **how: Any
    ) -> list[Photograph]:
        """The codes of photographs, as people hold them (see `translate`); they are resized and cut to
        the run's size.

        `how` are the fields of `Inversion`: method, space, steps, lr, perception, weights, tune ...  `progress` is
        called in a descent with the share that is done.
        Raises OptionError for a run that has no codes, and for invalid images or options.
        """
        self.require("decode")
        seed, _, batch = check_call(seed, batch=batch)
        given, _ = to_tensor(images, self.facts.channels)
        windows = fit_window(given, self.facts)
        return find_photographs(self.game, windows, self.device, Inversion(**how), seed, batch, progress)

    def decode(self, codes: Codes | Photograph | Sequence[Photograph]) -> Tensor:
        """Images (N, C, H, W) in [-1, 1] on the CPU of codes, or of photographs."""
        if isinstance(codes, Codes):
            codes = [Photograph(one) for one in split_codes(codes)]
        return draw_photographs(self.game, [codes] if isinstance(codes, Photograph) else codes, self.device)

    def interpolate_codes(
        self,
        rows: int = 8,
        steps: int = 10,
        seed: int = 0,
        *,
        closed: bool = False,
        between: tuple[int, ...] = (),
        truncation: float = 1.0,
    ) -> Tensor:
        """Straight lines between the codes of latents: (rows, steps, C, H, W) in [-1, 1].

        Row r goes from the code of latent r to that of latent r + 1 of the seed; with `closed` the last row returns to
        the first.  `between` as in `interpolate`.  Raises OptionError for a run that has no codes.
        """
        self.require("decode")
        numbers = number_ends(rows, steps, closed, between)
        rows = len(numbers) - (not closed)
        with inference_mode(self.game, RowDraw(check_call(seed)[0], 0, self.device)) as game:
            ends = game.code(game.noise(max(numbers) + 1), truncation).w[numbers]  # pyright: ignore
        ends = (torch.cat([ends, ends[:1]]) if closed else ends).clone()
        lines = interpolate_latents(ends[:-1].flatten(1), ends[1:].flatten(1), steps, "linear")
        return self.decode(Codes(lines.flatten(0, 1).unflatten(1, ends.shape[1:]))).unflatten(0, (rows, steps))

    def edit(self, photograph: Photograph, directions: Mapping[str, float]) -> Photograph:
        """The photograph with its code moved along stored directions: `{"smiling": 2.0}`.

        Raises OptionError for a direction that the run has not stored.
        """
        if not directions:
            return photograph
        return photograph.move(add_up(load_directions(self.path, self.step, directions), directions))

    def save_code(self, photograph: Photograph, path: str | Path) -> None:
        """Write the code of a photograph to a file."""
        save_photograph(Path(path), photograph, self.run_hash)

    def load_code(self, path: str | Path) -> Photograph:
        """The code in a file that this run has written.  Raises DataError for another run's."""
        return load_photograph(Path(path), self.game, self.run_hash, f"{self.path}@{self.step}")

    @cached_property
    def run_hash(self) -> str:
        """SHA-256 of what the run's answers follow from, of which files of codes are part."""
        return hash_run(self.path, self.step)
