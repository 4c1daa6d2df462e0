"""The verb sweep: a search over settings."""

from pathlib import Path
from typing import Annotated

from ganforge.cli.options import (
    MODEL_WORD,
    data_home_option,
    data_option,
    find_option,
    help_text,
    json_option,
    parse_options,
    preset_option,
    print_json,
    replace_old_flags,
    run_options,
    say,
    say_aside,
    take_first_word,
    trust_option,
)


def sweep(words: list[str]) -> None:
    """Search over settings: many short runs, compared and pruned by a metric."""
    name, rest = take_first_word(words, "ganforge sweep MODEL", MODEL_WORD)
    rest = replace_old_flags(rest)
    from ganforge.capabilities import find_method
    from ganforge.catalogue import find
    from ganforge.data.synthetic.choose import choose_embedded
    from ganforge.serialize import to_plain
    from ganforge.tuning import trials
    from ganforge.tuning.table import format_table

    model = find(name)
    preset = model.preset(find_option(rest, "--preset") or "small")
    options = parse_options(
        f"ganforge sweep {name}",
        "Search over settings: --over lr=1e-5..1e-3 batch=32,64. The same command continues a search that stopped.",
        rest,
        ("over", Annotated[tuple[str, ...], help_text("Settings to search: lr=1e-5..1e-3 batch=32,64.")], ()),
        ("trials", Annotated[int, help_text("Number of runs.")], 20),
        ("metric", Annotated[str, help_text("The metric, as for train --select. Empty: the model's first.")], ""),
        data_option(choose_embedded(model.game)),
        preset_option(model.presets, "The base settings of every trial."),
        run_options(preset.run),
        ("config", model.game.Config, preset.config),
        ("outdir", Annotated[Path, help_text("Folder in which the sweep folder is made.")], Path("runs")),
        ("name", Annotated[str, help_text("Name of the folder, after sweep-.")], ""),
        ("prune", Annotated[bool, help_text("Stop trials early that fall behind.")], True),
        trust_option(),
        data_home_option(),
        json_option(),
    )
    changed = {key: value for key, value in to_plain(options.run).items() if value != to_plain(preset.run)[key]}
    found = trials.sweep(
        name, options.data, options.preset, over=options.over, trials=options.trials, metric=options.metric,
        config=options.config, outdir=options.outdir, name=options.name, data_home=options.data_home,
        prune=options.prune, trust=options.trust, say=say_aside if options.json else say, **changed,
    )  # fmt: skip
    if options.json:
        print_json(found)
        return
    say(f"\n{format_table(found)}\n\nThe table and the plot are in {found.path}: trials.csv, trials.png.")
    best = f"{found.best.run}@best"
    can_sample = find_method(model.game, "sample", options.config) is not None
    say(f"Try next:\n  ganforge {f'sample {best} -n 64 -o grid.png' if can_sample else f'evaluate {best}'}")
