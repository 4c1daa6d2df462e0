"""The verb reproduce: an ablation table of a paper, trained again."""

import json
from pathlib import Path
from typing import Annotated, Literal

from ganforge.cli.options import (
    DATA_HELP,
    alias,
    choose_threads,
    data_home_option,
    find_option,
    help_text,
    json_option,
    parse_options,
    preset_option,
    print_json,
    say,
    say_aside,
    take_first_word,
)


def reproduce(words: list[str]) -> None:
    """Reproduce a paper's table: train its rows alike, compare with the paper, check its conclusions."""
    from ganforge.reproduction import experiment

    if not words or words[0] in ("-h", "--help"):
        known = {name: experiment.find_experiment(name) for name in experiment.list_experiments()}
        lines = [f"  {name:<16} {e.title}\n{'':<19}{', '.join(e.rows)}" for name, e in known.items()]
        say("usage: ganforge reproduce NAME [options]\n\nexperiments\n" + "\n".join(lines))
        say("\nNAME may also be a file, ./mine.yaml; `ganforge reproduce NAME --help` lists the options.")
        return
    name, rest = take_first_word(words, "ganforge reproduce NAME", "an experiment, or a file, ./mine.yaml")
    from ganforge.catalogue import find
    from ganforge.reproduction import run as reproduction
    from ganforge.reproduction.page import format_text

    entry = experiment.find_experiment(name)
    model = find(entry.model)
    preset = model.preset(find_option(rest, "--preset") or "small")
    options = parse_options(
        f"ganforge reproduce {name}",
        f"{entry.title} {entry.source}. The same command continues where it was stopped.",
        rest,
        ("data", Annotated[str, alias("--dataroot", help=f"Empty: the embedded set. {DATA_HELP}")], ""),
        (
            "budget",
            Annotated[float, help_text("Minutes of training, for all rows together; evaluation is extra.")],
            20.0,
        ),
        preset_option(model.presets, "The base settings of every row."),
        (
            "direction",
            Annotated[Literal["auto", "AtoB", "BtoA"], help_text("auto: from the side that has the label maps.")],
            "auto",
        ),
        ("size", Annotated[int, help_text("Side of the images. 0: the preset's, or more where the rows need it.")], 0),
        ("seed", Annotated[int, help_text("Random seed.")], 0),
        ("threads", Annotated[int, help_text("CPU threads. 0: as many as there are cores.")], preset.run.threads),
        ("device", Annotated[str, help_text("auto, cpu, cuda, cuda:1, mps.")], preset.run.device),
        ("outdir", Annotated[Path, help_text("Where the folder is made.")], Path("runs")),
        ("name", Annotated[str, help_text("Name of the folder, after reproduce-. Empty: NAME-DATA.")], ""),
        data_home_option(),
        json_option(),
    )
    given = vars(options)
    as_json = given.pop("json")
    tell = say_aside if as_json else say
    threads = given["threads"] or choose_threads(given["device"], tell)
    done = reproduction.reproduce(name, say=tell, **{**given, "threads": threads})
    if as_json:
        print_json(json.loads((done.folder / "results.json").read_text(encoding="utf-8")))
        return
    say(f"\n{format_text(done)}\n\nWrote {done.folder / 'index.html'} (open it in a browser);")
    say("table.md, pictures.png and results.json are beside it.")
