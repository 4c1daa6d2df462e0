"""The verbs that print information: data, list, show, env, explain."""

from typing import Annotated, Literal

from ganforge.cli.options import (
    MODEL_WORD,
    alias,
    data_home_option,
    help_text,
    json_option,
    parse_options,
    print_json,
    print_yaml,
    say,
    take_first_word,
    trust_option,
)
from ganforge.data.read_options import UNKNOWN_VALUE


def data(words: list[str]) -> None:
    """Examine a data set: its contents, its problems, and which models can train on it."""
    name, rest = take_first_word(words, "ganforge data PATH", "a folder, a zip, tars, an array, or a named set")
    options = parse_options(
        f"ganforge data {name}",
        "Decode every image; print the contents, the problems, and which models can train on them.",
        rest,
        (
            "out",
            Annotated[str | None, alias("-o", help="The contact sheet. Empty: NAME-contact-sheet.png, here.")],
            None,
        ),
        ("sheet", Annotated[bool, help_text("Draw a contact sheet.")], True),
        (
            "augment",
            Annotated[
                Literal["none", "diffaug", "ada"],
                help_text("Show some images under this augmentation, instead."),
            ],
            "none",
        ),
        ("json", Annotated[bool, help_text("Print as JSON; a contact sheet only with -o.")], False),
        ("held_out", Annotated[bool, help_text("Examine the test or validation split.")], False),
        ("unknown", Annotated[int, help_text("The value of pixels without a region in label maps.")], UNKNOWN_VALUE),
        data_home_option(),
    )
    from ganforge.cli.data_report import choose_sheet_path, format_report
    from ganforge.training.examine import examine

    sheet = options.out or ("" if options.json or not options.sheet else choose_sheet_path(name, options.augment))
    chosen = {"augment": options.augment, "held_out": options.held_out, "unknown": options.unknown}
    examination = examine(name, sheet=sheet, data_home=options.data_home, **chosen)
    if options.json:
        print_json(examination)
    else:
        say(format_report(examination))


def list_models(words: list[str]) -> None:
    """List the models."""
    options = parse_options("ganforge list", "List the models, one line each.", words, json_option())
    from ganforge.catalogue import headline, names

    if options.json:
        print_json({name: headline(name).removeprefix(f"{name}: ") for name in names()})
        return
    for name in names():
        say(f"{name:<12} {headline(name).removeprefix(f'{name}: ')}")


def show(words: list[str]) -> None:
    """Print the settings of a model, or a summary of a run."""
    name, rest = take_first_word(words, "ganforge show MODEL|RUN", "a model's name, a file, or a run folder")
    options = parse_options(
        f"ganforge show {name}",
        "Print the settings of a model, or a summary of a run.",
        rest,
        trust_option(),
        (
            "accept_config",
            Annotated[bool, help_text("Take the run's config.yaml as it is, after you edited it by hand.")],
            False,
        ),
        json_option(),
    )
    from ganforge.inference import show as showing

    found = showing.show(name, trust=options.trust, accept_config=options.accept_config)
    (print_json if options.json else print_yaml)(found)


def env(words: list[str]) -> None:
    """Print versions, devices, and incompatible packages."""
    options = parse_options("ganforge env", "Print versions, devices, and incompatible packages.", words, json_option())
    from ganforge import system

    facts = system.env()
    if options.json:
        print_json(facts)
        return
    for key, value in facts.items():
        say(f"{key:<{max(map(len, facts))}}  {value}")


def explain(words: list[str]) -> None:
    """Explain a model: its problem, moves and losses, networks, result, and remedies."""
    name, rest = take_first_word(words, "ganforge explain MODEL", MODEL_WORD)
    options = parse_options(
        f"ganforge explain {name}",
        "Explain a model. Steps are run and networks traced at the time of the call, so the text follows the code.",
        rest,
        ("preset", Annotated[str, help_text("Settings to explain; `ganforge show MODEL` lists them.")], "small"),
        ("lang", Annotated[Literal["en", "ko"], help_text("Language of the text; the HTML page has both.")], "en"),
        ("html", Annotated[str, help_text("Write an HTML page with formulas and diagrams to this file, instead.")], ""),
        json_option(),
    )
    from ganforge.explainer import explain as build_lesson

    lesson = build_lesson(name, options.preset, lang=options.lang, html=options.html)
    if options.json:
        print_json(lesson)
    else:
        say(f"Wrote {options.html}" if options.html else lesson.text(options.lang))
