"""The verb score: how strange images are to a run, and where."""

from typing import Annotated

from ganforge.cli.options import help_text, parse_options, say, take_first_word, take_in_and_out, trust_option

USAGE = "ganforge score RUN IN OUT"


def score(words: list[str]) -> None:
    """Score images by how strange they are to a run, with heat maps."""
    name, rest = take_first_word(words, USAGE, "a run folder, or RUN@best, RUN@12000")
    places, rest = take_in_and_out(rest, USAGE, "what to score, and a folder for the results")
    options = parse_options(
        f"ganforge score {name} IN OUT",
        "Score an image, a folder, a zip, a folder in MVTec's layout or shapes-defects.",
        rest,
        ("truth", Annotated[str, help_text("A folder of masks with the images' names, or a CSV: file, label.")], ""),
        ("sound", Annotated[str, help_text("Sound images, not trained on, that set the threshold.")], ""),
        ("false_alarms", Annotated[float, help_text("Expected share of sound images above the threshold.")], 0.05),
        ("smooth", Annotated[float, help_text("Deviation of the Gaussian that smooths the maps, in pixels.")], 1.0),
        ("seed", Annotated[int, help_text("Random seed of a descent's start.")], 0),
        ("device", Annotated[str, help_text("auto, cpu, cuda, mps.")], "auto"),
        trust_option(),
    )
    from ganforge.evaluation.report import format_interval, format_number
    from ganforge.evaluation.score import score as score_images

    report = score_images(name, *places, say=say, **vars(options))
    for sentence in report.notes:
        say(sentence)
    for figure in report.figures.values():
        say(f"{figure.name:<12} {format_number(figure.value)}  {format_interval(figure)}")
    if limit := report.threshold:
        say(
            f"Threshold {format_number(limit.value)}: of all sound images {limit.rate:.1%} are expected above it "
            f"(95 % interval {limit.low:.1%} to {limit.high:.1%}, from {limit.images} images)."
        )
    if report.alarms:
        say(f"Of the sound images scored, {report.alarms.value:.1%} lie above it.")
    first = report.scored[0]
    say(f"The strangest of {len(report.scored)} is {first.name}, with {format_number(first.score)}.")
    lost = f"; skipped {len(report.skipped)}" if report.skipped else ""
    say(f"Wrote {report.out / 'index.html'}{lost}")
