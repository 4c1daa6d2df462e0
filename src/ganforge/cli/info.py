"""The verbs that tell what there is: data, list, show, env, explain."""

from typing import Annotated, Literal

from ganforge.cli.options import alias, ask, first_word, home_question, note, print_plain, say


def data(words: list[str]) -> None:
    """Examine a data set: what it is, what is wrong, which models can learn from it."""
    name, rest = first_word(words, "ganforge data PATH", "a folder, a zip, tars, an array, or a named set")
    asked = ask(
        f"ganforge data {name}",
        "Decode every picture and say what the data is, what to mend, and which models can train on it.",
        rest,
        (
            "out",
            Annotated[str | None, alias("-o", help="The contact sheet. Empty: NAME-contact-sheet.png, here.")],
            None,
        ),
        ("sheet", Annotated[bool, note("Draw a contact sheet.")], True),
        (
            "augment",
            Annotated[
                Literal["none", "diffaug", "ada"],
                note("Show what this augmentation does, instead."),
            ],
            "none",
        ),
        ("json", Annotated[bool, note("Print everything as JSON; a sheet only with -o.")], False),
        ("held_out", Annotated[bool, note("Examine the test or validation split.")], False),
        home_question(),
    )
    from ganforge.cli.data_report import report, sheet_name
    from ganforge.training.examine import examine

    sheet = asked.out or ("" if asked.json or not asked.sheet else sheet_name(name, asked.augment))
    examination = examine(name, sheet=sheet, augment=asked.augment, data_home=asked.data_home, held_out=asked.held_out)
    if asked.json:
        import json

        from ganforge.serialize import to_plain

        say(json.dumps(to_plain(examination), ensure_ascii=False, indent=2))
    else:
        say(report(examination))


def list_models(words: list[str]) -> None:
    """List the models."""
    ask("ganforge list", "List the models, one line each.", words)
    from ganforge.catalogue import headline, names

    for name in names():
        say(f"{name:<12} {headline(name).removeprefix(f'{name}: ')}")


def show(words: list[str]) -> None:
    """Print the settings of a model, or what a run is."""
    name, rest = first_word(words, "ganforge show MODEL|RUN", "a model's name, a file, or a run folder")
    ask(f"ganforge show {name}", "Print the plain facts of a model or a run.", rest)
    from ganforge.inference import show as showing

    print_plain(showing.show(name))


def env(words: list[str]) -> None:
    """Print versions, devices, and anything installed that does not fit."""
    ask("ganforge env", "Print versions, devices, and anything installed that does not fit.", words)
    from ganforge import system

    facts = system.env()
    for key, value in facts.items():
        say(f"{key:<{max(map(len, facts))}}  {value}")


def explain(words: list[str]) -> None:
    """Teach a model: its problem, its turns and losses, its networks, its result, its cures."""
    name, rest = first_word(words, "ganforge explain MODEL", "a model's name (`ganforge list`) or a file, ./mine.py")
    asked = ask(
        f"ganforge explain {name}",
        "Teach a model. The rounds are played and the networks traced as you call it, so the lesson is the code's own.",
        rest,
        ("preset", Annotated[str, note("Settings to explain; `ganforge show MODEL` lists them.")], "small"),
        ("lang", Annotated[Literal["en", "ko"], note("Language of the text; a page has both.")], "en"),
        ("html", Annotated[str, note("Write a page with formulas and drawings to this file, instead.")], ""),
    )
    from ganforge.explainer import explain as lesson

    found = lesson(name, asked.preset, lang=asked.lang, html=asked.html)
    say(f"Wrote {asked.html}" if asked.html else found.text(asked.lang))
