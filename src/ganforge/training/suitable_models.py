"""Which models of the catalogue can train on some data, and what the others miss."""

import shlex
from collections.abc import Collection

import torch

from ganforge.batches import Facts
from ganforge.catalogue import Model, find, names
from ganforge.data.dataset import lacking
from ganforge.data.inspect import Examination, Fit
from ganforge.errors import GANForgeError
from ganforge.inference.parts import slots
from ganforge.run import Preset

FIRST = ("dcgan", "pix2pix")  # what is recommended among models that use the data equally well
LARGEST = 128  # pixels a side up to which the pictures' own size is proposed


def fits(examination: Examination, asked: str) -> tuple[Fit, ...]:
    """Every model of the catalogue against the data called `asked`."""
    return tuple(fit(find(name), examination, asked) for name in names())


def fit(model: Model, examination: Examination, asked: str) -> Fit:
    """One model: whether the data has the columns that it needs, and a size that its networks can make."""
    missing = lacking(model.game.batch_type.columns(), examination.provides)
    if examination.images < 2:
        return Fit(model.name, False, "at least 2 images that can be read", "")
    if missing:
        return Fit(model.name, False, missing, "")
    preset, needed = model.preset("small"), model.game.batch_type.columns()
    why, own = "", own_size(examination, "source" in needed and "a" not in examination.provides)
    for size in dict.fromkeys(size for size in (own, preset.run.size) if size):
        why = cannot_build(model, preset, facts(examination, preset, size, needed))
        if not why:
            return Fit(model.name, True, "", command(model, preset, size, asked))
    return Fit(model.name, False, why or "say a size with --size: the images differ", "")


def best(models: tuple[Fit, ...]) -> Fit | None:
    """The model to begin with: one that uses most of what the data has."""
    able = [m for m in models if m.fits]
    return max(able, key=lambda m: (len(find(m.model).game.batch_type.columns()), m.model in FIRST), default=None)


def own_size(examination: Examination, halves: bool) -> tuple[int, ...]:
    """The size of all images, or of their halves, where they have one that is small enough to learn as it is."""
    sizes = examination.sizes
    if sizes is None or sizes.different > 1:
        return ()
    height, width = sizes.largest
    width = width // 2 if halves else width
    if max(height, width) > LARGEST:
        return ()
    return (height,) if height == width else (height, width)


def facts(examination: Examination, preset: Preset, size: tuple[int, ...], needed: Collection[str]) -> Facts:
    """What the model would be built for."""
    most = max(examination.channels)
    channels = preset.run.channels or (most if most > 4 else 1 if most <= 2 else 3)
    classes, attributes = tuple(examination.classes), tuple(examination.attributes)
    sides = {"source_channels": channels * ("source" in needed), "instances": 2 * ("a_masks" in needed)}
    return Facts(channels, size[0], size[-1], classes, attributes, **sides)


def cannot_build(model: Model, preset: Preset, given: Facts) -> str:
    """Why the networks cannot be built for these facts; they are, without memory.  Empty: they can."""
    if slots(preset.config):
        return ""  # a pretrained part decides with the data: training says what does not fit
    try:
        with torch.device("meta"):
            model.game(preset.config, given)
    except GANForgeError as error:
        return str(error)
    return ""


def command(model: Model, preset: Preset, size: tuple[int, ...], asked: str) -> str:
    """The command line that trains the model on the data at this size."""
    words = ["ganforge", "train", model.name, "--data", asked]
    return shlex.join([*words, "--size", *map(str, size)] if size != preset.run.size else words)
