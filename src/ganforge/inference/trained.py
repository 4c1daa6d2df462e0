"""User-facing wrapper of a trained game: seeding, batching, and conversion of label names to tensors."""

import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from torch import Tensor

from ganforge.draw import FrameDraw, RowDraw
from ganforge.errors import OptionError
from ganforge.game import Game
from ganforge.images import grid, to_uint8, visible_channels
from ganforge.inference.answers import check_rows, convert_answers, has_rows, read_pictures, rows_of
from ganforge.inference.coding import Coding
from ganforge.inference.ends import add_sentences, draw_condition
from ganforge.inference.given_images import check_call, to_pil, to_tensor, whole_number
from ganforge.inference.inference_mode import inference_mode, sample_batches
from ganforge.inference.input_columns import check_input, input_columns, is_image_input, to_columns
from ganforge.inference.latents import interpolate_latents, mix_shares, number_ends
from ganforge.inference.scoring import Verdict, judge
from ganforge.inference.sentences import encode_texts
from ganforge.inference.tiles import resize, translate_tiled
from ganforge.text.tokeniser import Tokeniser

if TYPE_CHECKING:
    from PIL.Image import Image


@dataclass(repr=False)
class Trained(Coding):
    """A trained game: what `ganforge.train` and `ganforge.load` return.

    Every function that takes the path of a run takes this as well: `ganforge.sample(trained, 16)`.
    """

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

    stopped_by: int = 0
    """The number of the signal that stopped its training (2 for Ctrl-C, 15 for SIGTERM); 0 where none did."""
    tokeniser: Tokeniser | None = None
    """What makes tokens of sentences, where the run reads any."""
    captions: tuple[str, ...] = ()
    """Some captions of its training data."""
    native: bool = False
    """Whether it was trained on windows at the images' own scale, `--native-crops`."""

    def __repr__(self) -> str:
        """One line: the model, the step, the run folder and the device."""
        return f"Trained({Path(self.model).stem}, step {self.step}, {str(self.path)!r}, {self.device})"

    def __fspath__(self) -> str:
        """The run folder, for functions that take a path."""
        return str(self.path)

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
        n, (seed, start, batch) = whole_number("n", n, 1), check_call(seed, start, batch)

        given = self.encode_texts(self.game.sample, answers, n, start)  # pyright: ignore
        check_rows(given, n)

        def options(first: int, rows: int) -> dict[str, Any]:
            own = {name: rows_of(value, first - start, rows) for name, value in given.items()}
            return self.convert_answers(self.game.sample, rows, own)  # pyright: ignore

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
        between: tuple[int, ...] = (),
        **answers: Any,
    ) -> Tensor:
        """Interpolations between latents: (rows, steps, C, H, W) in [-1, 1].

        Row r goes from latent r to latent r + 1 of the seed; with `closed` the last row returns to the first latent.
        With `between`, two or more numbers of images, there is a row from each to the next, whatever `rows` says, and
        labels and sentences that are not given go from those of the one image to those of the other.  Whatever else the
        game draws, such as noise of its layers, is the same in all images.

        With `text_b`, of a game that mixes two sentences, row r keeps latent r and goes from `text` to `text_b`.
        """
        self.require("sample")
        numbers = number_ends(rows, steps, closed, between)
        rows = len(numbers) - (not closed)
        if between and answers.get("text_b") is not None:
            raise OptionError("A walk is between images or between sentences: leave `between` or `text_b` out.")
        if between:
            answers = add_sentences(self.game, self.model, self.captions, numbers, closed, answers)
        given = self.encode_texts(self.game.generate, answers, rows)  # pyright: ignore
        check_rows(given, rows)
        given = {name: v.repeat_interleave(steps, 0) if has_rows(v) else v for name, v in given.items()}
        with inference_mode(self.game, RowDraw(check_call(seed)[0], 0, self.device)) as game:
            ends = game.noise(max(numbers) + 1)[numbers]  # pyright: ignore
            if between:
                given |= draw_condition(game, self.model, numbers, closed, steps, given)
            if given.get("text_b") is not None:
                given["mix"] = mix_shares(steps, closed and not between).to(self.device).repeat(rows)
            if given.get("text_b") is not None and not between:
                mixed = ends[:rows].repeat_interleave(steps, 0)
            else:
                ends = torch.cat([ends, ends[:1]]) if closed else ends
                mixed = interpolate_latents(ends[:-1], ends[1:], steps, path).flatten(0, 1)
            images = []
            for first in range(0, len(mixed), 64):
                part = mixed[first : first + 64]
                game.draw = FrameDraw(seed, 0, self.device)
                own = {name: rows_of(value, first, len(part)) for name, value in given.items()}
                options = self.convert_answers(game.generate, len(part), own)  # pyright: ignore
                images.append(game.generate(part, **options))  # pyright: ignore
        return torch.cat(images).float().cpu().unflatten(0, (rows, steps))

    def traverse(self, rows: int = 1, steps: int = 10, seed: int = 0, **answers: Any) -> dict[str, Tensor]:
        """{code: (rows, values, C, H, W)} in [-1, 1]: the first latents of the seed with one code varied at a time.

        `steps` is the number of values of a continuous code; a category takes each of its values.
        """
        self.require("traverse")
        if rows < 1 or steps < 2:
            raise OptionError(f"{rows} rows of {steps} steps are not possible: ask for at least 1 row and 2 steps.")
        with inference_mode(self.game, RowDraw(check_call(seed)[0], 0, self.device)) as game:
            given = self.encode_texts(game.traverse, answers, rows)  # pyright: ignore
            check_rows(given, rows)
            options = self.convert_answers(game.traverse, rows, given)  # pyright: ignore
            noise = game.noise(rows)  # pyright: ignore
            game.draw = FrameDraw(seed, 0, self.device)
            images = game.traverse(noise, steps, **options)  # pyright: ignore
        return {code: row.float().cpu() for code, row in images.items()}

    def images(self, what: Any, seed: int = 0, **answers: Any) -> "list[Image]":
        """PIL images of 8 bits: `what` samples where it is a number, else the translations of these images.

        Raises OptionError as `sample` and `translate` do.
        """
        return to_pil(self.arrays(what, seed, answers))

    def show(self, what: Any = 16, seed: int = 0, **answers: Any) -> "Image":
        """A grid of what `images` returns, as one PIL image.

        A notebook draws it where it is the last value of a cell; elsewhere the system's viewer opens, if there is one.
        """
        (sheet,) = to_pil(grid(self.arrays(what, seed, answers))[None])
        if "IPython" not in sys.modules:
            sheet.show()
        return sheet

    def arrays(self, what: Any, seed: int, answers: Mapping[str, Any]) -> np.ndarray:
        """(N, H, W, C) uint8 of 1 to 4 channels: samples or translations, as in `images`."""
        if isinstance(what, Integral):
            made = self.sample(int(what), seed, **answers)
        else:
            made = self.translate(what, seed, **answers)
        return visible_channels(to_uint8(made if made.ndim == 4 else made[None]))

    def translate(self, images: Any, seed: int = 0, *, masks: Tensor | None = None, **options: Any) -> Tensor:
        """Translate one image or several, as people hold them; returns floats in [-1, 1] on the CPU.

        `images` is one image: the path of a file, a PIL image, an array (H, W, C) of uint8, uint16 or floats, or a
        tensor (C, H, W) of uint8 or any float type.  It gives (C, kH, kW).  Or several: a list of these of one size,
        an array (N, H, W, C) or a tensor (N, C, H, W), which give (N, C, kH, kW).  Floats are in [-1, 1].  `options`
        are those of `translate_batches`, the game's own among them.

        A game of label maps takes a map (H, W) of whole numbers, an image or a file of one; a game of layouts a text,
        `layout:star 0.1 0.2 0.5 0.6; ...`, a JSON file, or boxes (M, 4) with `box_labels`; several of either, or a
        Batch. Other columns of the input are options of their names: `instance_map`.

        Raises OptionError for a game that does not translate, and for invalid images, masks or options; DataError for
        a file that cannot be read.
        """
        self.require("translate")
        names = input_columns(self.game)
        if "images" not in names:
            others = {name: options.pop(name) for name in names if options.get(name) is not None}
            columns, single = to_columns(images, names, others, self.facts)
            made = self.translate_columns(columns, seed, **options)
            return made[0] if single else made
        given, single = to_tensor(images, self.channels_in(bool(options.get("reverse"))))
        if single and masks is not None and masks.ndim == 3:
            masks = masks[None]
        made = self.translate_batches(given, seed, masks=masks, **options)
        return made[0] if single else made

    def translate_batches(
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

        A game of a fixed size is given the images resized to it, and its results have that size.

        Raises OptionError for a game that does not translate, and for invalid images, masks or options; ContractError
        for a game whose results are no multiple of its input.
        """
        columns = {"images": images, **({} if masks is None else {"masks": masks})}
        return self.translate_columns(columns, seed, start=start, batch=batch, tile=tile, **answers)

    def translate_columns(
        self,
        columns: Mapping[str, Tensor],
        seed: int = 0,
        *,
        start: int = 0,
        batch: int = 16,
        tile: int = 0,
        **answers: Any,
    ) -> Tensor:
        """As `translate_batches`, of any input: {column: its rows}, the first one that of the game's `translate`.

        Columns are as in a Batch.  Label maps may have any size, as images may; boxes have none, and the results have
        that of the data.
        """
        self.require("translate")
        seed, start, batch = check_call(seed, start, batch)
        whole_number("tile", tile, 0)
        check_input(self.game, self.model, columns, self.channels_in(bool(answers.get("reverse"))))
        sized = is_image_input(tuple(columns))
        if tile and (self.game.fixed_size or not sized):
            raise OptionError(f"{self.model} works at a fixed size and cannot be tiled: leave --tile out.")
        planes = [tensor[:, None] if sized and tensor.ndim == 3 else tensor for tensor in columns.values()]
        if self.game.fixed_size and sized:
            sides = (self.facts.height, self.facts.width)
            planes = [
                resize(t, sides, "bilinear" if name == "images" else "nearest-exact")
                for name, t in zip(columns, planes, strict=True)
            ]
        answers = self.encode_texts(self.game.translate, answers, len(planes[0]), start)  # pyright: ignore
        answers = read_pictures(self.game, answers)
        check_rows(answers, len(planes[0]))
        parts = []
        for first in range(0, len(planes[0]), batch):
            part = [t[first : first + batch].to(self.device) for t in planes]
            with inference_mode(self.game) as game:
                own = {k: rows_of(v, first, batch) for k, v in answers.items()}
                options = self.convert_answers(game.translate, len(part[0]), own)  # pyright: ignore

                def network(*tensors: Tensor, game: Any = game, options: Any = options, first: int = first) -> Tensor:
                    game.draw = RowDraw(seed, start + first, self.device)
                    flat = [t if t.is_floating_point() or not sized else t[:, 0] for t in tensors]
                    return game.translate(**dict(zip(columns, flat, strict=True)), **options)

                made = translate_tiled(network, part, game.multiple, tile, game.least) if sized else network(*part)
                parts.append(made.float().cpu())
        return torch.cat(parts)

    def score(self, images: Any, seed: int = 0, **options: Any) -> Tensor:
        """How strange images are, (N,) on the CPU, higher for stranger; a number () of a single image.

        `images` are as in `translate`; `options`: `batch`, and `native` for windows at the images' own scale, as runs
        of `--native-crops` have them.  Raises OptionError for a game that does not score, and for invalid images,
        seeds or batches.
        """
        verdict, single = self.judge(images, seed, **options)
        return verdict.scores[0] if single else verdict.scores

    def heat(self, images: Any, seed: int = 0, **options: Any) -> Tensor:
        """Where images are strange, (N, 1, H, W) on the CPU, at least 0; (1, H, W) of a single image.  As `score`."""
        self.require("heat")
        verdict, single = self.judge(images, seed, **options)
        return verdict.full_heat()[0] if single else verdict.full_heat()

    def judge(self, images: Any, seed: int = 0, *, batch: int = 16, native: bool | None = None) -> tuple[Verdict, bool]:
        """The scores and maps of images, and whether a single image was given."""
        self.require("score")
        seed, _, batch = check_call(seed, batch=batch)
        given, single = to_tensor(images, self.facts.channels)
        return judge(self.game, given, self.device, seed, batch, self.native if native is None else native), single

    def channels_in(self, reverse: bool = False) -> int:
        """Number of channels of `translate`'s input."""
        return self.facts.channels if reverse else self.facts.source_channels or self.facts.channels

    def range_in(self, reverse: bool = False) -> tuple[float, float] | None:
        """The range of values of the files that `translate` takes; None where white is that of their type."""
        columns = self.game.batch_type.columns()
        if "b" in columns:
            return self.ranges.get("b" if reverse else "a")
        return self.ranges.get("source" if "source" in columns else "low" if "low" in self.ranges else "images")

    def range_out(self, reverse: bool = False) -> tuple[float, float] | None:
        """The range of values of the files that the outputs stand for; None where white is that of their type."""
        columns = self.game.batch_type.columns()
        if "b" in columns:
            return self.ranges.get("a" if reverse else "b")
        return self.ranges.get("target" if "target" in columns else "images")

    def encode_texts(self, method: Any, answers: Mapping[str, Any], rows: int, start: int = 0) -> dict[str, Any]:
        """The answers to a capability's options, sentences as tokens (rows, T); see sentences.py.

        Samples without a sentence show kept captions; what a translation of a given image shows is only asked for.
        """
        captions = () if method.__name__ == "translate" else self.captions
        return encode_texts(self.tokeniser, captions, method, answers, rows, start)

    def convert_answers(self, method: Any, rows: int, answers: Mapping[str, Any]) -> dict[str, Any]:
        """A user's options as the arguments of a capability; see answers.py."""
        return convert_answers(self.game, self.model, method, rows, answers, self.device)
