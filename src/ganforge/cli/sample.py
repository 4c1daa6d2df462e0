"""The verbs that sample a run: sample, interpolate, mix, traverse."""

from typing import Annotated, Literal

from ganforge.cli.options import alias, game_options, help_text, parse_options, say, take_first_word, trust_option


def sample(words: list[str]) -> None:
    """Generate images with a run."""
    name, rest = take_first_word(words, "ganforge sample RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    options = parse_options(
        f"ganforge sample {name}",
        "Generate images: image k of a seed is always the same.",
        rest,
        ("n", Annotated[int, alias("-n", help="Number of images.")], 64),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
        ("out", Annotated[str, alias("-o", help="grid.png, images.npz, or a folder for single files.")], ""),
        (
            "depth",
            Annotated[
                Literal["8", "16", "float"],
                help_text("Bits per channel of the files; floats are in the data's units, or in [-1, 1]."),
            ],
            "8",
        ),
        ("upscale", Annotated[str, help_text("A run that enlarges the images; it gets the same sentence.")], ""),
        ("batch", Annotated[int, help_text("Batch size; the images do not depend on it.")], 64),
        trust_option(),
        *game_options(name, "sample", rest),
    )
    say(f"Wrote {sampling.sample(name, **vars(options))}")


def interpolate(words: list[str]) -> None:
    """Interpolate between latents: a grid and an animation."""
    name, rest = take_first_word(words, "ganforge interpolate RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    options = parse_options(
        f"ganforge interpolate {name}",
        "Interpolate between latents: a grid with one interpolation a row, and an animation.",
        rest,
        (
            "out",
            Annotated[str, alias("-o", help="The grid, walk.png, beside walk.gif; of walk.mp4: beside a video.")],
            "",
        ),
        ("rows", Annotated[int, help_text("Interpolations.")], 8),
        ("steps", Annotated[int, help_text("Images an interpolation, its ends included.")], 10),
        ("seed", Annotated[int, help_text("Random seed of the latents.")], 0),
        ("path", Annotated[Literal["spherical", "linear"], help_text("Along the arc or along the line.")], "spherical"),
        ("between", Annotated[tuple[int, ...], help_text("Numbers of the images to walk between: 3 7.")], ()),
        ("space", Annotated[Literal["latent", "code"], help_text("Between latents or their codes.")], "latent"),
        trust_option(),
        *game_options(name, "generate", rest),
    )
    say("Wrote {} and {}".format(*sampling.interpolate(name, **vars(options))))


def mix(words: list[str]) -> None:
    """Mix styles: the coarse ones of some images with the fine ones of others."""
    name, rest = take_first_word(words, "ganforge mix RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    options = parse_options(
        f"ganforge mix {name}",
        "Mix styles, of models with codes: a table with coarse styles from the left, fine ones from above.",
        rest,
        ("out", Annotated[str, alias("-o", help="The table, mixed.png.")], ""),
        ("coarse", Annotated[tuple[int, ...], help_text("Numbers of the images on the left.")], (0, 1, 2)),
        ("fine", Annotated[tuple[int, ...], help_text("Numbers of the images above.")], (3, 4, 5, 6)),
        ("layers", Annotated[int, help_text("Layers with the coarse styles; 0: half of them.")], 0),
        ("seed", Annotated[int, help_text("Random seed of the images.")], 0),
        trust_option(),
        *game_options(name, "code", rest),
    )
    say(f"Wrote {sampling.mix(name, **vars(options))}")


def traverse(words: list[str]) -> None:
    """Vary one latent code after another, to show what each controls."""
    name, rest = take_first_word(words, "ganforge traverse RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    options = parse_options(
        f"ganforge traverse {name}",
        "Vary one latent code after another: a grid whose rows show what each controls.",
        rest,
        ("out", Annotated[str, alias("-o", help="The grid, codes.png.")], ""),
        ("rows", Annotated[int, help_text("Rows a code, each with another latent.")], 1),
        (
            "steps",
            Annotated[int, help_text("Values of a continuous code; a categorical code takes each of its values.")],
            10,
        ),
        ("seed", Annotated[int, help_text("Random seed of the latents.")], 0),
        trust_option(),
        *game_options(name, "traverse", rest),
    )
    target, codes = sampling.traverse(name, **vars(options))
    say(f"Wrote {target}; from top to bottom: {', '.join(codes)}")
