"""The verb that searches: sweep."""

from pathlib import Path
from typing import Annotated, Literal

from ganforge.cli.options import DATA_HELP, alias, ask, bare, first_word, home_question, note, say, told
from ganforge.run import Run


def sweep(words: list[str]) -> None:
    """Search for better settings: many short runs, chosen and cut short by a measure."""
    name, rest = first_word(words, "ganforge sweep MODEL", "the model's name (`ganforge list`) or a file, ./mine.py")
    from ganforge.catalogue import find
    from ganforge.data.synthetic.domains import embedded
    from ganforge.serialize import to_plain
    from ganforge.tuning.table import spoken
    from ganforge.tuning.trials import sweep as search

    model = find(name)
    preset = model.preset(told(rest, "--preset") or "small")
    asked = ask(
        f"ganforge sweep {name}",
        "Search over settings: --over lr=1e-5..1e-3 batch=32,64. The same command goes on with a search that stopped.",
        rest,
        ("over", Annotated[tuple[str, ...], note("What to choose: lr=1e-5..1e-3 batch=32,64.")], ()),
        ("trials", Annotated[int, note("Runs in all.")], 20),
        ("metric", Annotated[str, note("The measure, as train --select takes it. Empty: the first it has.")], ""),
        ("data", Annotated[str, alias("--dataroot", help=DATA_HELP)], embedded(model.game.batch_type.columns())),
        (
            "preset",
            Annotated[Literal[tuple(model.presets)], note("What every trial begins with.")],  # pyright: ignore
            "small",
        ),
        ("run", bare(Run), preset.run),
        ("config", model.game.Config, preset.config),
        ("outdir", Annotated[Path, note("Where the sweep's folder is made.")], Path("runs")),
        ("name", Annotated[str, note("Name of the folder, after sweep-.")], ""),
        ("prune", Annotated[bool, note("Cut trials short that fall behind.")], True),
        home_question(),
    )
    given = {key: value for key, value in to_plain(asked.run).items() if value != to_plain(preset.run)[key]}
    found = search(
        name, asked.data, asked.preset, over=asked.over, trials=asked.trials, metric=asked.metric, config=asked.config,
        outdir=asked.outdir, name=asked.name, data_home=asked.data_home, prune=asked.prune, say=say, **given,
    )  # fmt: skip
    say(f"\n{spoken(found)}\n\nThe table and the picture are in {found.path}: trials.csv, trials.png.")
    best = f"{found.best.run}@best"
    draws = hasattr(model.game, "sample")
    say(f"Try next:\n  ganforge {f'sample {best} -n 64 -o grid.png' if draws else f'evaluate {best}'}")
