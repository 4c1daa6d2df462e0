"""The verbs that draw from a run: sample, interpolate, traverse."""

from typing import Annotated, Literal

from ganforge.cli.options import alias, ask, first_word, note, own_questions, say


def sample(words: list[str]) -> None:
    """Draw new pictures from a run."""
    name, rest = first_word(words, "ganforge sample RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    asked = ask(
        f"ganforge sample {name}",
        "Draw pictures: picture k of a seed is always the same.",
        rest,
        ("n", Annotated[int, alias("-n", help="How many.")], 64),
        ("seed", Annotated[int, note("Which pictures.")], 0),
        ("out", Annotated[str, alias("-o", help="grid.png, images.npz, or a folder for single files.")], ""),
        ("depth", Annotated[Literal["8", "16", "float"], note("Bits of what is written; floats are in [-1, 1].")], "8"),
        ("batch", Annotated[int, note("How many at a time; changes nothing but memory.")], 64),
        *own_questions(name, "sample"),
    )
    say(f"Wrote {sampling.sample(name, **vars(asked))}")


def interpolate(words: list[str]) -> None:
    """Walk between latents: a grid and an animation."""
    name, rest = first_word(words, "ganforge interpolate RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    asked = ask(
        f"ganforge interpolate {name}",
        "Walk from one latent to the next: a grid with one walk a row, and an animation.",
        rest,
        ("out", Annotated[str, alias("-o", help="The grid, walk.png; the animation is walk.gif.")], ""),
        ("rows", Annotated[int, note("Walks.")], 8),
        ("steps", Annotated[int, note("Pictures a walk, its ends included.")], 10),
        ("seed", Annotated[int, note("Which latents.")], 0),
        ("path", Annotated[Literal["spherical", "linear"], note("Along the arc, or straight.")], "spherical"),
        *own_questions(name, "generate"),
    )
    say("Wrote {} and {}".format(*sampling.interpolate(name, **vars(asked))))


def traverse(words: list[str]) -> None:
    """Vary one code after another: what each stands for."""
    name, rest = first_word(words, "ganforge traverse RUN", "a run folder, or RUN@best, RUN@12000")
    from ganforge.inference import sample as sampling

    asked = ask(
        f"ganforge traverse {name}",
        "Vary one code of the noise after another: a grid whose rows show what each stands for.",
        rest,
        ("out", Annotated[str, alias("-o", help="The grid, codes.png.")], ""),
        ("rows", Annotated[int, note("Rows a code, each about another latent.")], 1),
        ("steps", Annotated[int, note("Values of a continuous code; a category takes each of its own.")], 10),
        ("seed", Annotated[int, note("Which latents.")], 0),
        *own_questions(name, "traverse"),
    )
    target, codes = sampling.traverse(name, **vars(asked))
    say(f"Wrote {target}; from the top down: {', '.join(codes)}")
