"""The verb that makes a paper's table again: reproduce."""

from pathlib import Path
from typing import Annotated, Literal

from ganforge.cli.options import DATA_HELP, alias, ask, beside_others, first_word, home_question, note, say, told


def reproduce(words: list[str]) -> None:
    """Make a paper's table again: its rows trained alike, ours beside the paper's, which orderings hold."""
    from ganforge.reproduction import experiment

    if not words or words[0] in ("-h", "--help"):
        known = {name: experiment.find(name) for name in experiment.names()}
        lines = [f"  {name:<16} {e.title}\n{'':<19}{', '.join(e.rows)}" for name, e in known.items()]
        say("usage: ganforge reproduce NAME [options]\n\nexperiments\n" + "\n".join(lines))
        say("\nNAME may also be a file, ./mine.yaml; `ganforge reproduce NAME --help` lists the options.")
        return
    name, rest = first_word(words, "ganforge reproduce NAME", "an experiment, or a file, ./mine.yaml")
    from ganforge.catalogue import find
    from ganforge.reproduction.page import text
    from ganforge.reproduction.run import reproduce as again

    found = experiment.find(name)
    model = find(found.model)
    preset = model.preset(told(rest, "--preset") or "small")
    asked = ask(
        f"ganforge reproduce {name}",
        f"{found.title} {found.source}. The same command goes on where it was stopped.",
        rest,
        ("data", Annotated[str, alias("--dataroot", help=f"Empty: drawn by the program. {DATA_HELP}")], ""),
        ("budget", Annotated[float, note("Minutes of training, of all rows together; judging comes on top.")], 20.0),
        (
            "preset",
            Annotated[Literal[tuple(model.presets)], note("What every row begins with.")],  # pyright: ignore
            "small",
        ),
        (
            "direction",
            Annotated[Literal["auto", "AtoB", "BtoA"], note("auto: by the side on which label maps are.")],
            "auto",
        ),
        ("size", Annotated[int, note("Side of the pictures. 0: the preset's, or more where the rows need it.")], 0),
        ("seed", Annotated[int, note("Everything drawn follows from it.")], 0),
        ("threads", Annotated[int, note("CPU threads. 0: as many as there are cores.")], preset.run.threads),
        ("device", Annotated[str, note("auto, cpu, cuda, cuda:1, mps.")], preset.run.device),
        ("outdir", Annotated[Path, note("Where the folder is made.")], Path("runs")),
        ("name", Annotated[str, note("Name of the folder, after reproduce-. Empty: NAME-DATA.")], ""),
        home_question(),
    )
    threads = asked.threads or beside_others(asked.device)
    done = again(name, say=say, **{**vars(asked), "threads": threads})
    say(f"\n{text(done)}\n\nWrote {done.folder / 'index.html'} (open it in a browser); table.md, pictures.png and")
    say("results.json lie beside it.")
