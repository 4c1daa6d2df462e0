"""Which models of the catalogue can train on a data set, and what the others lack."""

import shlex
from collections.abc import Collection
from dataclasses import replace

import torch

from ganforge.batches import Facts
from ganforge.catalogue import Model, build_stand_ins, find, names
from ganforge.data.dataset import describe_missing_columns
from ganforge.data.inspect import Examination, Fit
from ganforge.data.layouts.region_names import choose_colours
from ganforge.errors import GANForgeError
from ganforge.run import Preset

PREFERRED = ("dcgan", "pix2pix")  # of models that use equally many columns, those that are proposed
LARGEST = 128  # pixels a side up to which the size of the images themselves is proposed


def check_models(examination: Examination, data_spec: str) -> tuple[Fit, ...]:
    """Check every model of the catalogue against the examined data, which `data_spec` names."""
    return tuple(check_model(find(name), examination, data_spec) for name in names())


def check_model(model: Model, examination: Examination, data_spec: str) -> Fit:
    """Check one model: the data must have the columns it needs, and a size that its networks can produce."""
    missing = describe_missing_columns(model.game.batch_type.columns(), examination.provides)
    if examination.images < 2:
        return Fit(model.name, False, "at least 2 images that can be read", "")
    if missing:
        return Fit(model.name, False, missing, "")
    preset, needed = model.preset("small"), model.game.batch_type.columns()
    error, own_size = (
        "",
        shared_size(examination, "source" in needed and {"a", "label_map"}.isdisjoint(examination.provides)),
    )
    for size in dict.fromkeys(size for size in (own_size, preset.run.size) if size):
        error = find_build_error(model, preset, facts_at(examination, preset, size, needed))
        if not error:
            return Fit(model.name, True, "", training_command(model, preset, size, data_spec))
    return Fit(model.name, False, error or "give a size with --size: the images differ in size", "")


def recommend_model(models: tuple[Fit, ...]) -> Fit | None:
    """The model to start with: one that uses most of the data's columns; None where no model fits."""
    fitting = [m for m in models if m.fits]
    return max(
        fitting, key=lambda m: (len(find(m.model).game.batch_type.columns()), m.model in PREFERRED), default=None
    )


def shared_size(examination: Examination, halves: bool) -> tuple[int, ...]:
    """The size of all images, or of their halves; empty where they differ or are larger than LARGEST."""
    sizes = examination.sizes
    if sizes is None or sizes.different > 1:
        return ()
    height, width = sizes.largest
    width = width // 2 if halves else width
    if max(height, width) > LARGEST:
        return ()
    return (height,) if height == width else (height, width)


def facts_at(examination: Examination, preset: Preset, size: tuple[int, ...], needed: Collection[str]) -> Facts:
    """The facts that the model would be built with at this size."""
    most_channels = max(examination.channels)
    channels = preset.run.channels or (most_channels if most_channels > 4 else 1 if most_channels <= 2 else 3)
    classes, attributes = tuple(examination.classes), tuple(examination.attributes)
    source, instances = channels * ("source" in needed), 2 * ("a_masks" in needed)
    regions, objects = tuple(examination.regions), ("", *examination.objects) if examination.objects else ()
    colours, has_instances = choose_colours([None] * len(regions)), "instance_map" in examination.provides
    facts = Facts(channels, size[0], size[-1], classes, attributes, source, instances)
    places = {"regions": regions, "region_colours": colours, "instance_maps": has_instances}
    words = {"vocabulary": examination.vocabulary + 2, "captions": examination.most_captions}
    words["caption_length"] = (examination.caption_words or (0, 0, 0))[-1]
    places |= words if "tokens" in needed else {}
    return replace(facts, **places, objects=objects, most=examination.most)


def find_build_error(model: Model, preset: Preset, facts: Facts) -> str:
    """The error of building the networks for these facts, on the meta device; empty where there is none."""
    try:
        with torch.device("meta"):
            model.game(preset.config, facts, **build_stand_ins(model, preset.config, facts))
    except GANForgeError as error:
        return str(error)
    return ""


def training_command(model: Model, preset: Preset, size: tuple[int, ...], data_spec: str) -> str:
    """The command that trains the model on the data at this size."""
    words = ["ganforge", "train", model.name, "--data", data_spec]
    return shlex.join([*words, "--size", *map(str, size)] if size != preset.run.size else words)
