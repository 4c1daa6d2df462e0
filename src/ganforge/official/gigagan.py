"""The networks and losses of lucidrains/gigagan-pytorch, an implementation that is not the authors'.

Its images lie in [0, 1], and its discriminators score real images low.  Ours lie in [-1, 1], and real ones score high:
the adapters convert images, and turn the signs of scores; so weights that become those of a game are turned as well.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ganforge.errors import ModelError
from ganforge.models.gigagan.adaptive import AdaptiveConv2d
from ganforge.models.gigagan.attention import TextNetwork
from ganforge.models.gigagan.discriminator import Discriminator as OurDiscriminator
from ganforge.models.gigagan.generator import Generator as OurGenerator
from ganforge.models.gigagan.generator import Guide, StyleNetwork
from ganforge.models.gigagan.upsampler import Upsampler
from ganforge.models.gigagan.vision import VisionDiscriminator
from ganforge.nn.losses import hinge
from ganforge.official import Adapter, State

CLIP_WIDTH = 1024
"""Length of the features of a word in the CLIP that theirs loads by default."""

WORDS: list[tuple[str, str]] = [
    (r"^text\.first$", "text_encoder.learned_global_token"),
    (r"^text\.project\.", "text_encoder.project_in."),
    (r"^text\.layers\.(\d+)\.attention\.", r"text_encoder.transformer.layers.\1.0."),
    (r"^text\.layers\.(\d+)\.feed\.", r"text_encoder.transformer.layers.\1.1."),
    (r"^text\.norm\.", "text_encoder.transformer.norm."),
    (r"(transformer.*)\.read\.", r"\1.to_qkv."),
    (r"\.attention\.", ".attn."),
    (r"\.feed\.", ".ff."),
    (r"\.(norm\d?|norm_tokens)\.weight$", r".\1.gamma"),
    (r"(\.ff|transformer\.layers\.\d+\.1)\.0\.weight$", r"\1.0.gamma"),
    (r"\.norm_tokens\.", ".norm_context."),
    (r"\.null$", ".null_kv"),
    (r"\.query\.", ".to_q."),
    (r"\.key\.", ".to_k."),
    (r"\.value\.", ".to_v."),
    (r"\.key_value\.", ".to_kv."),
    (r"\.out\.", ".to_out."),
]
"""(our words, theirs) of texts and attentions, applied one after the other."""


def rename(key: str, rules: Iterable[tuple[str, str]]) -> str:
    """Our key under their name, by (pattern, replacement) in order."""
    for pattern, theirs in rules:
        key = re.sub(pattern, theirs, key)
    return key


def key_map(network: nn.Module, rules: Sequence[tuple[str, str]], order: Sequence[str]) -> dict[str, str]:
    """{their key: ours} of every tensor, by the order of their first words, and of the numbers of their layers."""
    names = {rename(key, rules): key for key in network.state_dict(keep_vars=True)}

    def place(key: str) -> tuple[Any, ...]:
        first = next((number for number, word in enumerate(order) if key.startswith(word)), len(order))
        numbered = re.match(r"\w+\.(\d+)\.(\d+)\.", key) if key.startswith(("downs", "ups", "layers")) else None
        layer = [int(number) for number in numbered.groups()] if numbered else []
        return first, layer, not key.endswith(".filter")  # a buffer of theirs, before its layer's weights

    return dict(sorted(names.items(), key=lambda pair: place(pair[0])))


def make_text(settings: Mapping[str, Any] | None) -> TextNetwork | None:
    """T from the arguments of their TextEncoder; `clip_width` is the length of their CLIP's features."""
    if settings is None:
        return None
    clip, head, heads = (settings.get(k, v) for k, v in (("clip_width", CLIP_WIDTH), ("dim_head", 64), ("heads", 8)))
    return TextNetwork(clip, settings["dim"], settings["depth"], head, heads, learned=True)


def make_style(settings: Mapping[str, Any]) -> StyleNetwork:
    """M from the arguments of their StyleNetwork."""
    return StyleNetwork(settings["dim"], settings["depth"], settings.get("dim_text_latent", 0), unit_variance=False)


def words_of(encodings: Tensor) -> Tensor:
    """The mask (N, T) of their encodings (N, T, K): words are not all zeros."""
    return (encodings != 0).any(2)


class _Adaptive(Adapter):
    """A network with adaptive convolutions, whose kernels have one dimension more there: (bank, out, in, k, k)."""

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor.flatten(0, 1) if key.endswith(".weights") else tensor

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        if not key.endswith(".weights"):
            return tensor
        layer = self.network.get_submodule(self.keys()[key].rpartition(".")[0])
        assert isinstance(layer, AdaptiveConv2d)
        return tensor.unflatten(0, (layer.bank, -1))


class TextEncoder(Adapter):
    """encodings (N, T, K) -> the global token (N, dim), tokens (N, T, dim), mask (N, T)."""

    def __init__(self, dim: int, depth: int, dim_head: int = 64, heads: int = 8, clip_width: int = CLIP_WIDTH) -> None:
        ours = TextNetwork(clip_width, dim, depth, dim_head, heads, learned=True)
        names = {}
        for key in ours.state_dict():
            names[rename(f"text.{key}", WORDS).removeprefix("text_encoder.")] = key
        super().__init__(ours, names)

    def forward(self, text_encodings: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        mask = words_of(text_encodings)
        return *self.network(text_encodings, mask), mask


class Generator(_Adaptive):
    """noise (N, dim), encodings (N, T, K), noise maps -> images (N, C, H, W) in [0, 1], and those of all sizes."""

    fills = ("gigagan.generator",)
    RULES = (
        *WORDS,
        (r"^style\.layers\.(\d+)", lambda m: f"style_network.net.{2 * int(m[1])}"),
        (r"^first$", "init_block"),
        (r"^conv\.weight$", "init_conv.weights"),
        (r"^stages\.(\d+)\.", r"layers.\1."),
        (r"^(layers\.\d+)\.conv1\.weight", r"\1.1.0.weights"),
        (r"^(layers\.\d+)\.noise1\.strength", r"\1.1.1.weight"),
        (r"^(layers\.\d+)\.conv2\.weight", r"\1.1.3.weights"),
        (r"^(layers\.\d+)\.noise2\.strength", r"\1.1.4.weight"),
        (r"^(layers\.\d+)\.to_image\.weight", r"\1.2.weights"),
        (r"^(layers\.\d+)\.places\.", r"\1.3."),
        (r"^(layers\.\d+)\.words\.", r"\1.4."),
        (r"^(layers\.\d+)\.up\.", r"\1.5."),
        (r"^(layers\.\d+)\.image_up\.", r"\1.6."),
        (r"^(layers\.\d+\.[56])\.conv\.", r"\1.net.0."),
        (r"^(layers\.\d+\.[56])\.blur\.weights", r"\1.1.f"),
        (r"^(layers\.\d+)\.excite\.net\.(\d)", lambda m: f"{m[1]}.0.{int(m[2]) + 1}"),
        (r"^modulations\.read", "style_to_conv_modulations"),
    )

    def __init__(
        self,
        image_size: int,
        dim_capacity: int = 16,
        dim_max: int = 2048,
        channels: int = 3,
        style_network: Mapping[str, Any] | None = None,
        text_encoder: Mapping[str, Any] | None = None,
        dim_latent: int = 512,
        self_attn_resolutions: Sequence[int] = (32, 16),
        self_attn_dim_head: int = 64,
        self_attn_heads: int = 8,
        self_attn_dot_product: bool = True,
        self_attn_ff_mult: int = 4,
        cross_attn_resolutions: Sequence[int] = (32, 16),
        cross_attn_dim_head: int = 64,
        cross_attn_heads: int = 8,
        cross_attn_ff_mult: int = 4,
        num_conv_kernels: int = 2,
        num_skip_layers_excite: int = 0,
        unconditional: bool = False,
        pixel_shuffle_upsample: bool = False,
    ) -> None:
        if style_network is None or unconditional == (text_encoder is not None):
            raise ModelError("This Generator needs style_network=, and text_encoder= where it is not unconditional.")
        if cross_attn_ff_mult != self_attn_ff_mult:
            raise ModelError("Attentions to places and words have feed-forward layers of one width here.")
        ours = OurGenerator(
            make_style(style_network), make_text(text_encoder), channels, image_size, dim_capacity, dim_max,
            dim_latent, num_conv_kernels, self_attn_resolutions, cross_attn_resolutions,
            (self_attn_dim_head, self_attn_heads), self_attn_ff_mult, not self_attn_dot_product,
            word_head=(cross_attn_dim_head, cross_attn_heads), shuffle=pixel_shuffle_upsample, bias=False,
            skips=num_skip_layers_excite, unit=True,
        )  # fmt: skip
        order = ("init_block", "style_network", "text_encoder", "init_conv", "layers", "style_to")
        super().__init__(ours, key_map(ours, type(self).RULES, order))  # pyright: ignore

    def forward(
        self, noise: Tensor, text_encodings: Tensor | None = None, maps: Sequence[Tensor] = ()
    ) -> tuple[Tensor, list[Tensor]]:
        mask = None if text_encodings is None else words_of(text_encodings)
        images = self.network(self.network.guide(noise, text_encodings, mask, None), maps)  # pyright: ignore
        images = [(each + 1) / 2 for each in images]
        return images[-1], images

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        stages = count(state, r"layers\.(\d+)\.2\.weights")
        outs = [len(state[f"layers.{i}.1.3.weights"][0]) for i in range(stages)]
        found: dict[str, Any] = {"image_size": 4 << (stages - 1), "dim_capacity": outs[-1] // 2, "dim_max": max(outs)}
        found |= {"channels": state["layers.0.2.weights"].shape[1], "dim_latent": len(state["init_block"])}
        found |= {"num_conv_kernels": len(state["init_conv.weights"]), **guides_of(state)}
        found["unconditional"] = "text_encoder" not in found
        for name, place in (("self", 3), ("cross", 4)):
            at = [i for i in range(stages) if f"layers.{i}.{place}.ff.1.weight" in state]
            found[f"{name}_attn_resolutions"] = tuple(4 << i for i in at)
            if at:
                out, inner = state[f"layers.{at[0]}.{place}.ff.1.weight"].shape[:2]
                found[f"{name}_attn_ff_mult"] = out // inner
        if places := found["self_attn_resolutions"]:
            first = f"layers.{places[0].bit_length() - 3}.3.attn"
            found["self_attn_heads"], found["self_attn_dim_head"] = state[f"{first}.null_kv"].shape[1:]
            found["self_attn_dot_product"] = f"{first}.to_k.weight" in state
            found["cross_attn_ff_mult"] = found["self_attn_ff_mult"]
        found["pixel_shuffle_upsample"] = "layers.0.6.net.0.weight" in state
        excites = count(state, r"layers\.(\d+)\.0\.1\.weight")
        found["num_skip_layers_excite"] = stages - excites if excites else 0
        return found

    @classmethod
    def complete(cls, state: State, given: Mapping[str, Any]) -> dict[str, Any]:
        found = {**cls.arguments(state), **given}
        for name in ("dim_head", "heads"):  # no shape shows these of the words' attention: as those of places
            found.setdefault(f"cross_attn_{name}", found.get(f"self_attn_{name}", 64 if name == "dim_head" else 8))
        return found

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        words = "layers.0.4.attn.to_q.weight" in state or count(state, r"layers\.(\d+)\.4\.attn\.to_q\.weight")
        return tuple(n for n in ("cross_attn_dim_head", "cross_attn_heads") if words and n not in given)

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        head = (a.get("self_attn_dim_head", 64), a.get("self_attn_heads", 8))
        check_heads(a.get("text_encoder"), head, (a["cross_attn_dim_head"], a["cross_attn_heads"]))
        if a["unconditional"]:
            raise ModelError("gigagan's base draws from sentences, and this generator has none.")
        config = {
            "capacity": a["dim_capacity"], "widest": a["dim_max"], "start": a["dim_latent"],
            "bank": a["num_conv_kernels"], "places": [*a["self_attn_resolutions"]],
            "words": [*a["cross_attn_resolutions"]], "head": head[0], "heads": head[1],
            "times": a.get("self_attn_ff_mult", 4), "distance": not a.get("self_attn_dot_product", True),
            "shuffle": a["pixel_shuffle_upsample"], "skips": a["num_skip_layers_excite"],
        }  # fmt: skip
        return {**config, **guide_settings(a), "networks": "base"}, square(a["channels"], a["image_size"])


def count(state: State, pattern: str) -> int:
    """The number of keys that a pattern describes from their start."""
    return sum(re.match(pattern + "$", key) is not None for key in state)


def guides_of(state: State) -> dict[str, Any]:
    """The arguments style_network and text_encoder, from a state dict."""
    depth = count(state, r"style_network\.net\.(\d+)\.weight")
    width, inputs = state["style_network.net.0.weight"].shape
    found: dict[str, Any] = {"style_network": {"dim": width, "depth": depth, "dim_text_latent": inputs - width}}
    return found | text_of(state)


def text_of(state: State) -> dict[str, Any]:
    """The argument text_encoder, from a state dict; nothing without one."""
    if "text_encoder.learned_global_token" not in state:
        return {}
    width = len(state["text_encoder.learned_global_token"])
    project = state.get("text_encoder.project_in.weight")
    heads, head = state["text_encoder.transformer.layers.0.0.null_kv"].shape[1:]
    depth = count(state, r"text_encoder\.transformer\.layers\.(\d+)\.0\.null_kv")
    clip = width if project is None else project.shape[1]
    return {"text_encoder": {"dim": width, "depth": depth, "dim_head": head, "heads": heads, "clip_width": clip}}


def check_heads(text: Mapping[str, Any] | None, *heads: tuple[int, int]) -> None:
    """Raise ModelError where the attentions of a player have heads of several sizes, which a game has not."""
    all_heads = {*heads, *([] if text is None else [(text["dim_head"], text["heads"])])}
    if len(all_heads) > 1:
        raise ModelError(
            "All attentions of a player of gigagan have one number and width of heads, and here are "
            f"{', '.join(f'{n} of {size}' for size, n in sorted(all_heads))}: such weights cannot become a run."
        )


def guide_settings(a: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of the style network and of T."""
    style, text = a["style_network"], a.get("text_encoder")
    config = {"reading": "lucidrains", "style": style["dim"], "style_depth": style["depth"], "texts": text is not None}
    if text is not None:
        config |= {"text_width": text["dim"], "text_depth": text["depth"], "features": text["clip_width"]}
    return config


def square(channels: int, side: int) -> dict[str, Any]:
    """The facts of square images."""
    return {"channels": channels, "height": side, "width": side}


class Discriminator(_Adaptive):
    """images (N, C, H, W) in [0, 1], the smaller ones, global tokens (N, text) -> scores (k, N) of k sizes, scores of
    patches, and the losses of the decoders, as in evaluation: of the whole image.  Low scores are those of real images.
    """

    fills = ("gigagan.discriminator",)
    RULES = (
        *WORDS,
        (r"^stages\.(\d+)\.", r"layers.\1."),
        (r"^(layers\.\d+)\.enter\.", r"\1.1."),
        (r"^(layers\.\d+)\.conv1\.", r"\1.2.0."),
        (r"^(layers\.\d+)\.conv2\.", r"\1.2.2."),
        (r"^(layers\.\d+)\.short\.", r"\1.3."),
        (r"^(layers\.\d+)\.places\.", r"\1.4."),
        (r"^(layers\.\d+)\.head\.alone\.", r"\1.5.residual_fn."),
        (
            r"^(layers\.\d+)\.head\.layers\.(\d+)\.(\d)\.(weight|bias)",
            lambda m: f"{m[1]}.5.layers.{m[2]}.{2 * int(m[3])}.{m[4]}",
        ),
        (r"^(layers\.\d+)\.head\.score\.", r"\1.5.to_logits."),
        (r"^(layers\.\d+)\.decoder\.1\.", r"\1.6.net.0."),
        (
            r"^(layers\.\d+)\.decoder\.(\d+)\.(\d)\.",
            lambda m: f"{m[1]}.6.net.{int(m[2]) - 1}.{m[3]}.",
        ),
        (r"^(layers\.\d+\.6.*)\.blur\.weights", r"\1.1.f"),
        (r"^(layers\.\d+)\.halve\.conv\.", r"\1.7.1."),
        (r"^(layers\.\d+)\.excite\.net\.(\d)", lambda m: f"{m[1]}.0.{int(m[2]) + 1}"),
        (r"^last\.", "to_logits."),
        (r"^modulations\.read", "text_to_conv_conditioning"),
    )

    def __init__(
        self,
        image_size: int,
        dim_capacity: int = 16,
        dim_max: int = 2048,
        channels: int = 3,
        attn_resolutions: Sequence[int] = (32, 16),
        attn_dim_head: int = 64,
        attn_heads: int = 8,
        self_attn_dot_product: bool = False,
        ff_mult: int = 4,
        text_encoder: Mapping[str, Any] | None = None,
        multiscale_input_resolutions: Sequence[int] = (64, 32, 16, 8),
        multiscale_output_skip_stages: int = 1,
        aux_recon_resolutions: Sequence[int] = (8,),
        aux_recon_patch_dims: Sequence[int] = (2,),
        aux_recon_frac_patches: Sequence[float] = (0.25,),
        num_conv_kernels: int = 2,
        num_skip_layers_excite: int = 0,
        unconditional: bool = False,
    ) -> None:
        if unconditional == (text_encoder is not None):
            raise ModelError("This Discriminator needs text_encoder= where it is not unconditional, and only there.")
        enter = [side for side in multiscale_input_resolutions if side < image_size]
        judged = [side >> multiscale_output_skip_stages for side in enter]
        ours = OurDiscriminator(
            make_text(text_encoder), channels, image_size, dim_capacity, dim_max, enter, attn_resolutions,
            (attn_dim_head, attn_heads), ff_mult, not self_attn_dot_product, judged=judged, kernel=3, depth=2,
            bank=num_conv_kernels, added=True, last=True, decoders=aux_recon_resolutions,
            skips=num_skip_layers_excite, unit=True,
        )  # fmt: skip
        order = ("layers", "to_logits", "text_to_conv", "text_encoder")
        super().__init__(ours, key_map(ours, self.rules(ours), order))

    @classmethod
    def rules(cls, ours: OurDiscriminator) -> list[tuple[str, Any]]:
        """With the kernels of adaptive convolutions, which are `weights` there."""
        adaptive = r"^(layers\.\d+\.5\.layers\.\d+\.\d)\.weight$"
        return [*cls.RULES, *([(adaptive, r"\1.weights")] if ours.text is not None else [])]

    def forward(
        self, images: Tensor, rgbs: Sequence[Tensor] = (), text_embeds: Tensor | None = None
    ) -> tuple[Tensor, list[Tensor], list[Tensor]]:
        ours, n = self.network, len(images)
        assert isinstance(ours, OurDiscriminator)
        smaller = [2 * each - 1 for each in rgbs]
        features, drawn = ours.read(2 * images - 1, smaller)
        *patches, last = ours.score(features, text_embeds)
        return last.view(-1, n), patches, [F.mse_loss(each, images) for each in drawn]

    def weights(self) -> dict[str, Tensor]:
        """With the signs of all scores turned."""
        state = dict(self.network.state_dict())
        for key, value in state.items():
            if re.match(r"(last\.2|stages\.\d+\.head\.score)\.", key):
                state[key] = -value
        return state

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        stages = count(state, r"layers\.(\d+)\.3\.weight")
        outs, side = [len(state[f"layers.{i}.3.weight"]) for i in range(stages)], 4 << (stages - 1)
        found: dict[str, Any] = {"image_size": side, "dim_capacity": outs[0] // 2, "dim_max": max(outs)}
        found |= {"channels": state["layers.0.1.weight"].shape[1], **text_of(state)}
        found["unconditional"] = "text_encoder" not in found
        heads = [i for i in range(stages) if f"layers.{i}.5.to_logits.weight" in state]
        found["multiscale_input_resolutions"] = tuple(2 * (side >> i) for i in heads)
        if heads and not found["unconditional"]:
            found["num_conv_kernels"] = len(state[f"layers.{heads[0]}.5.layers.0.0.weights"])
        at = [i for i in range(stages) if f"layers.{i}.4.attn.null_kv" in state]
        found["attn_resolutions"] = tuple(side >> i for i in at)
        if at:
            first = f"layers.{at[0]}.4"
            found["attn_heads"], found["attn_dim_head"] = state[f"{first}.attn.null_kv"].shape[1:]
            found["self_attn_dot_product"] = f"{first}.attn.to_k.weight" in state
            out, inner = state[f"{first}.ff.1.weight"].shape[:2]
            found["ff_mult"] = out // inner
        drawn = [i for i in range(stages) if f"layers.{i}.6.net.0.weight" in state]
        found["aux_recon_resolutions"] = tuple(side >> i for i in drawn)
        excites = count(state, r"layers\.(\d+)\.0\.1\.weight")
        found["num_skip_layers_excite"] = stages - 1 - excites if excites else 0
        return found

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a, text = arguments, arguments.get("text_encoder")
        head = (a.get("attn_dim_head", 64), a.get("attn_heads", 8))
        check_heads(text, head)
        config = {
            "reading": "lucidrains", "judge_capacity": a["dim_capacity"], "judge_widest": a["dim_max"],
            "judge_places": [*a["attn_resolutions"]], "judge_head": head[0], "judge_heads": head[1],
            "judge_times": a.get("ff_mult", 4), "judge_distance": not a.get("self_attn_dot_product", True),
            "judge_bank": a.get("num_conv_kernels", 2), "judge_depth": 2,
            "judge_skips": a["num_skip_layers_excite"], "enter": [*a["multiscale_input_resolutions"]],
            "decoders": [*a["aux_recon_resolutions"]], "texts": text is not None,
        }  # fmt: skip
        if text is not None:
            config |= {"judge_text_width": text["dim"], "judge_text_depth": text["depth"]}
            config["features"] = text["clip_width"]
        return config, square(a["channels"], a["image_size"])


class UnetUpsampler(_Adaptive):
    """images (N, C, h, w) in [0, 1], noise (N, dim), tokens of the sentence -> enlarged images; those of all sizes.

    The largest of these is without what the last block adds to it.
    """

    fills = ("gigagan.generator",)
    RULES = (
        *WORDS,
        (r"^style\.layers\.(\d+)", lambda m: f"style_network.net.{2 * int(m[1])}"),
        (r"^enter\.", "init_conv."),
        (r"^halves\.(\d+)\.conv\.", r"downs.\1.6.conv2d."),
        (r"^halves\.(\d+)\.blur\.weights", r"downs.\1.6.filter"),
        (r"^doubles\.(\d+)\.conv\.", r"ups.\1.0.net.0."),
        (r"^image_doubles\.(\d+)\.blur\.weights", r"ups.\1.1.1.f"),
        (r"^to_images\.(\d+)\.", r"ups.\1.4."),
        (r"^downs\.(\d+)\.block(\d)\.", lambda m: f"downs.{m[1]}.{int(m[2]) - 1}."),
        (r"^ups\.(\d+)\.block(\d)\.", lambda m: f"ups.{m[1]}.{int(m[2]) + 4}."),
        (r"^downs\.(\d+)\.words\.", r"downs.\1.2."),
        (r"^downs\.(\d+)\.places\.", r"downs.\1.3."),
        (r"^ups\.(\d+)\.words\.", r"ups.\1.7."),
        (r"^ups\.(\d+)\.places\.", r"ups.\1.8."),
        (r"^middle\.", "mid_attn."),
        (r"^middle(\d)\.", r"mid_block\1."),
        (r"^middle_image\.", "mid_to_rgb."),
        (r"^last\.", "final_res_block."),
        (r"^last_image\.", "final_to_rgb."),
        (r"^(downs\.\d+\.3|ups\.\d+\.8|mid_attn)\.attn\.", r"\1.layers.0.0."),
        (r"^(downs\.\d+\.3|ups\.\d+\.8|mid_attn)\.ff\.", r"\1.layers.0.1."),
        (r"(layers\.0\.0)\.read\.", r"\1.to_qkv."),
        (r"(layers\.0\.0\.to_out\.1)\.weight", r"\1.gamma"),
        (r"\.conv(\d)\.weight$", r".block\1.proj.weights"),
        (r"\.norm(\d)\.gamma$", r".block\1.norm.gamma"),
        (r"\.short\.", ".res_conv."),
        (r"^modulations\.read", "style_to_conv_modulations"),
    )
    ORDER = ("text_encoder", "style_network", "init_conv", "downs", "ups", "mid_block1", "mid_attn", "mid_block2",
             "mid_to_rgb", "final_res_block", "final_to_rgb", "style_to")  # fmt: skip

    def __init__(
        self,
        dim: int,
        image_size: int,
        input_image_size: int,
        text_encoder: Mapping[str, Any] | None = None,
        style_network: Mapping[str, Any] | None = None,
        dim_mults: Sequence[int] = (1, 2, 4, 8, 16),
        channels: int = 3,
        full_attn: Sequence[bool] = (False, False, False, True, True),
        cross_attn: Sequence[bool] = (False, False, False, True, True),
        flash_attn: bool = True,
        self_attn_dim_head: int = 64,
        self_attn_heads: int = 8,
        self_attn_ff_mult: int = 4,
        attn_depths: Sequence[int] = (1, 1, 1, 1, 1),
        temporal_attn_depths: Sequence[int] = (1, 1, 1, 1, 1),
        cross_attn_dim_head: int = 64,
        num_conv_kernels: int = 2,
        unconditional: bool = True,
    ) -> None:
        if style_network is None or unconditional == (text_encoder is not None):
            raise ModelError(
                "This UnetUpsampler needs style_network=, and text_encoder= where it is not unconditional."
            )
        if {*attn_depths} != {1}:
            raise ModelError("Only one attention a stage is possible here: attn_depths of 1.")
        self_head = (self_attn_dim_head, self_attn_heads)
        ours = Upsampler(
            make_style(style_network), make_text(text_encoder), channels, image_size // input_image_size, dim,
            tuple(dim_mults), num_conv_kernels, tuple(full_attn), tuple(cross_attn), self_head, self_attn_ff_mult,
            up_head=(cross_attn_dim_head, self_attn_heads), enlarged=False, unit=True,
        )  # fmt: skip
        super().__init__(ours, key_map(ours, type(self).RULES, type(self).ORDER))  # pyright: ignore

    def forward(
        self,
        lowres_image: Tensor,
        noise: Tensor,
        global_text_tokens: Tensor | None = None,
        fine_text_tokens: Tensor | None = None,
        text_mask: Tensor | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        ours = self.network
        assert isinstance(ours, Upsampler)
        words = None
        if fine_text_tokens is not None and text_mask is not None:
            words = (fine_text_tokens, text_mask)
        guide = Guide(ours.style(noise, global_text_tokens), words)
        *images, added = ours.draw_stages(2 * lowres_image - 1, guide)
        return images[-1] + added, images

    @classmethod
    def arguments(cls, state: State) -> dict[str, Any]:
        """The scale follows from the stages that do not split: those above take nothing from the way down."""
        stages = count(state, r"downs\.(\d+)\.6\.conv2d\.weight")
        dim, channels = state["init_conv.weight"].shape[:2]
        outs = [len(state[f"downs.{i}.6.conv2d.weight"]) for i in range(stages)]
        kept = sum(
            state[f"ups.{stages - 1 - i}.5.res_conv.weight"].shape[1] == 2 * ([dim, *outs][i]) for i in range(stages)
        )
        found: dict[str, Any] = {"dim": dim, "channels": channels, "dim_mults": tuple(out // dim for out in outs)}
        found |= {"image_size": 64 << kept, "input_image_size": 64, **guides_of(state)}
        found["full_attn"] = tuple(f"downs.{i}.3.layers.0.0.to_out.weight" in state for i in range(stages))
        found["cross_attn"] = tuple(f"downs.{i}.2.attn.to_q.weight" in state for i in range(stages))
        found["num_conv_kernels"] = len(state["downs.0.0.block1.proj.weights"])
        out, inner = state["mid_attn.layers.0.1.1.weight"].shape[:2]
        return found | {"self_attn_ff_mult": out // inner, "unconditional": "text_encoder" not in found}

    @classmethod
    def complete(cls, state: State, given: Mapping[str, Any]) -> dict[str, Any]:
        found = {**cls.arguments(state), **given}
        inner = state["mid_attn.layers.0.0.to_out.weight"].shape[1]
        found.setdefault("self_attn_dim_head", inner // found["self_attn_heads"] if "self_attn_heads" in found else 64)
        found.setdefault("self_attn_heads", inner // found["self_attn_dim_head"])
        found.setdefault("cross_attn_dim_head", found["self_attn_dim_head"])
        return found

    @classmethod
    def assumed(cls, state: State, given: Mapping[str, Any]) -> tuple[str, ...]:
        return () if {"self_attn_heads", "self_attn_dim_head"} & {*given} else ("self_attn_heads", "self_attn_dim_head")

    @classmethod
    def game(cls, place: str, **arguments: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        a = arguments
        head = (a["self_attn_dim_head"], a["self_attn_heads"])
        check_heads(a.get("text_encoder"), head, (a["cross_attn_dim_head"], a["self_attn_heads"]))
        config = {
            "networks": "upsampler", "scale": a["image_size"] // a["input_image_size"], "width": a["dim"],
            "multiples": [*a["dim_mults"]], "whole": [*a["full_attn"]], "reads": [*a["cross_attn"]],
            "bank": a["num_conv_kernels"], "head": head[0], "heads": head[1], "times": a.get("self_attn_ff_mult", 4),
            "content": "pixel",
        }  # fmt: skip
        return {**config, **guide_settings(a)}, square(a["channels"], a["image_size"])

    def to_ours(self, key: str, tensor: Tensor) -> Tensor:
        return tensor[:, None, None] if self.is_flat(key) else super().to_ours(key, tensor)

    def to_theirs(self, key: str, tensor: Tensor) -> Tensor:
        return tensor[:, 0, 0] if self.is_flat(key) else super().to_theirs(key, tensor)

    @staticmethod
    def is_flat(key: str) -> bool:
        """Whether a norm's weights are one row there: all but those of texts and of attention to words."""
        return key.endswith(".gamma") and not re.match(r"text_encoder\.|downs\.\d+\.2\.|ups\.\d+\.7\.", key)


class VisionAidedDiscriminator(_Adaptive):
    """CLIP's tokens of every layer (L, N, 1 + h h, K), text embeddings (N, text) -> scores (N, h, h) of some layers."""

    RULES = (
        (r"^heads\.(\d+)\.projection", r"layer_discriminators.\1.0.fixed_weights"),
        (r"^heads\.(\d+)\.style\.", r"layer_discriminators.\1.2."),
        (r"^heads\.(\d+)\.choice\.", r"layer_discriminators.\1.3."),
        (r"^heads\.(\d+)\.score\.", r"layer_discriminators.\1.4.0."),
    )

    def __init__(
        self,
        layer_indices: Sequence[int] = (-1, -2, -3),
        conv_dim: int | None = None,
        text_dim: int | None = None,
        unconditional: bool = False,
        num_conv_kernels: int = 2,
        clip_width: int = CLIP_WIDTH,
    ) -> None:
        text = 0 if unconditional else text_dim or clip_width
        ours = VisionDiscriminator(clip_width, conv_dim or clip_width, text, tuple(layer_indices), num_conv_kernels)
        conv = (
            r"^heads\.(\d+)\.conv\.weight",
            r"layer_discriminators.\1.1." + ("weight" if unconditional else "weights"),
        )
        rules = [*type(self).RULES, conv, (r"^heads\.(\d+)\.conv\.bias", r"layer_discriminators.\1.1.bias")]
        super().__init__(ours, key_map(ours, rules, ("layer_discriminators",)))

    def forward(self, encodings: Tensor, text_embeds: Tensor | None = None) -> list[Tensor]:
        return self.network([*encodings], text_embeds)


def generator_hinge_loss(fake: Tensor) -> Tensor:
    """Generated images should score low."""
    return fake.mean()


def discriminator_hinge_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Real images should score below -1, generated ones above 1."""
    return hinge(-real) + hinge(fake)


def aux_matching_loss(real: Tensor, fake: Tensor) -> Tensor:
    """Images with wrong sentences, real and generated ones, should score high."""
    return F.softplus(-real).mean() + F.softplus(-fake).mean()


def gradient_penalty(
    images: Tensor,
    outputs: Sequence[Tensor],
    grad_output_weights: Sequence[float],
    weight: float = 10.0,
    center: float = 0.0,
) -> Tensor:
    """weight (|sum_k w_k d out_k / d images| - center)^2, the mean over the images."""
    weighted = [w * output.sum() for w, output in zip(grad_output_weights, outputs, strict=True)]
    (slopes,) = torch.autograd.grad(torch.stack(weighted).sum(), images, create_graph=True)
    return weight * (slopes.flatten(1).norm(dim=1) - center).square().mean()
