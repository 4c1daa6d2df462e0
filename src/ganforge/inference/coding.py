"""What a trained run does with codes: find those of photographs, draw them, move them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ganforge.batches import Facts
from ganforge.capabilities import Codes, has_codes, offers
from ganforge.catalogue import able
from ganforge.draw import RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.inference.answers import convert_answers
from ganforge.inference.codes import Photograph, draw_photographs, load_photograph, save_photograph, split_codes
from ganforge.inference.directions import add_up, load_directions
from ganforge.inference.given_images import check_call, to_tensor, whole_number
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

    def require_codes(self) -> None:
        """Raise OptionError unless the game draws images from codes that can be read and changed."""
        if not has_codes(self.game):
            raise OptionError(f"{self.model} has no codes; of the models, {able('decode')} have.")

    def invert(
        self, images: Any, seed: int = 0, *, batch: int = 16, progress: Progress = no_progress, **how: Any
    ) -> list[Photograph]:
        """The codes of photographs, as people hold them (see `translate`); they are resized and cut to
        the run's size.

        `how` are the fields of `Inversion`: method, space, steps, lr, perception, weights, tune ...  `progress` is
        called in a descent with the share that is done.
        Raises OptionError for a run that has no codes, and for invalid images or options.
        """
        self.require_codes()
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
        self.require_codes()
        numbers = number_ends(rows, steps, closed, between)
        rows = len(numbers) - (not closed)
        with inference_mode(self.game, RowDraw(check_call(seed)[0], 0, self.device)) as game:
            ends = game.code(game.noise(max(numbers) + 1), truncation).w[numbers]  # pyright: ignore
        ends = (torch.cat([ends, ends[:1]]) if closed else ends).clone()
        lines = interpolate_latents(ends[:-1].flatten(1), ends[1:].flatten(1), steps, "linear")
        return self.decode(Codes(lines.flatten(0, 1).unflatten(1, ends.shape[1:]))).unflatten(0, (rows, steps))

    def count_layers(self) -> int:
        """The layers that read a code, each its own vector; 0 of a run that has no codes."""
        if not has_codes(self.game):
            return 0
        with inference_mode(self.game, RowDraw(0, 0, self.device)) as game:
            return game.code(game.noise(1)).w.shape[1]  # pyright: ignore

    def mix(
        self,
        coarse: Sequence[int] = (0, 1, 2),
        fine: Sequence[int] = (3, 4, 5, 6),
        seed: int = 0,
        *,
        layers: int = 0,
        **answers: Any,
    ) -> Tensor:
        """Style mixing: a table (1 + rows, 1 + columns, C, H, W) in [-1, 1] of images of a seed, by their numbers.

        The images `coarse` stand in the first column, the images `fine` in the first row; the corner is white.  Every
        other image has the code of its row's in the first `layers` layers (0: half of them), and the code of its
        column's in the others (Karras et al. 2019, section 3.1 and figure 3).  `answers` are the options of `code`.
        Raises OptionError for a run whose codes have less than two layers, and for invalid numbers or options.
        """
        self.require_codes()
        count = self.count_layers()
        if count < 2:
            raise OptionError(f"All layers of {self.model} read one code, so that there is nothing to mix.")
        layers = whole_number("layers", layers, 0) or count // 2
        if layers >= count:
            raise OptionError(f"--layers must lie between 1 and {count - 1}, or be 0 for half of the {count} layers.")
        if not coarse or not fine:
            raise OptionError("A table of mixed styles needs images for both: as in --coarse 0 1 2 --fine 3 4.")
        numbers = number_ends(1, 2, False, [*coarse, *fine])
        with inference_mode(self.game, RowDraw(check_call(seed)[0], 0, self.device)) as game:
            noise = game.noise(max(numbers) + 1)  # pyright: ignore
            given = convert_answers(game, self.model, game.code, len(noise), answers, self.device)  # pyright: ignore
            codes = game.code(noise, **given).w[numbers].clone()  # pyright: ignore
        first, top = codes[: len(coarse), None], codes[None, len(coarse) :]
        shape = len(coarse), len(fine), -1, -1
        inner = torch.cat([first[:, :, :layers].expand(shape), top[:, :, layers:].expand(shape)], 2)
        table = torch.cat([torch.cat([top[:, :1], top], 1), torch.cat([first, inner], 1)])
        images = self.decode(Codes(table.flatten(0, 1))).unflatten(0, table.shape[:2])
        images[0, 0] = 1.0
        return images

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
