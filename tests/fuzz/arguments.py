"""Flags with values that make no sense, and terminals that are odd."""

from tests.fuzz.case import Case, Kind, Making, Must
from tests.fuzz.folders import copied
from tests.fuzz.pictures import shots
from tests.fuzz.trees import in_folder

NUMBERS = ("nan", "inf", "-1", "0", "1e300", "-5", str(2**70), "x", "", "1.5", "²", "-0", "1e-320", "0x10")
FLAGS = (
    *(
        "--steps",
        "--batch",
        "--size",
        "--channels",
        "--seed",
        "--threads",
        "--accumulate",
        "--clip",
        "--warmup",
        "--ema",
    ),
    *(
        "--log-every",
        "--sample-every",
        "--save-every",
        "--keep",
        "--every",
        "--patience",
        "--judged",
        "--epochs",
        "--kimg",
    ),
    *("--config.lr", "--config.width", "--config.latent", "--config.beta1"),
)
SENSELESS = {
    **dict.fromkeys(("--config.lr", "--epochs", "--clip", "--ema", "--warmup"), ("nan", "inf", "-1", "x", "")),
    **dict.fromkeys(("--batch", "--steps", "--keep", "--size", "--config.width"), ("nan", "-1", "x", "", "1e300")),
    "--seed": (str(2**70), "x", "nan"),
    "--kimg": ("1e300", "-1", "nan"),
}


def arguments(making: Making) -> Case:
    """`ganforge train --dry-run` or one step with a senseless number."""
    chance = making.chance
    in_folder({f"{k}.png": s.content for k, s in enumerate(shots(chance, 4, ending="png"))}, making.given / "good")
    flag = chance.choice(FLAGS)
    value = chance.choice(SENSELESS.get(flag, NUMBERS) if chance.often(0.5) else NUMBERS)
    must: Must = "refuse" if value in SENSELESS.get(flag, ()) else "either"
    large = flag in ("--steps", "--epochs", "--kimg", "--judged") and value in ("1e300", str(2**70), "inf")
    words = ["train", chance.choice(("dcgan", "gan")), "--data", "../in/good", "--preset", "tiny", "--no-tensorboard"]
    words += ["--steps", "1"] if flag not in ("--steps", "--epochs", "--kimg") else []
    words += [f"{flag}={value}"] if chance.often(0.5) else [flag, value]
    if large or flag in ("--steps", "--epochs", "--kimg") or chance.often(0.3):
        words += ["--dry-run"]
    return Case(f"{flag} {value!r}", [words], must, names=(flag, flag.strip("-"), flag.rpartition(".")[2].strip("-")))


OF_RUNS = {
    "sample": ("-n", "--seed", "--batch", "-o"),
    "interpolate": ("--rows", "--steps", "-o"),
    "resume": ("--steps", "--epochs", "--kimg", "--threads", "--patience"),
    "export": ("-o",),
}


def of_runs(making: Making) -> Case:
    """Senseless numbers for the verbs that open a run."""
    chance = making.chance
    copied(making.runs("gan"), making.root / "work" / "myrun")
    value = chance.choice(NUMBERS)
    verb = chance.choice(tuple(OF_RUNS))
    flag = chance.choice(OF_RUNS[verb])
    if value == str(2**70) and flag not in ("--seed", "--threads", "--patience"):
        value = "-7"  # what is asked for would only be long
    if flag == "-o":
        value = chance.choice(("out/x.xyz", "out/" + "a" * 300 + ".png", "out/\x00.png", "out/.png", "out/x.npz"))
    words = [verb, "myrun", flag, value]
    if flag != "-o" and verb in ("sample", "interpolate"):
        words += ["-o", "out/x.png"]
    if verb == "interpolate" and flag != "--rows":
        words += ["--rows", "1"]
    changes = ("work/out", "work/runs", "work/myrun")
    names = (flag, flag.strip("-"), "pictures", "walk", "rounds", "steps", value)
    return Case(f"{verb} {flag} {value[:50]!r}", [words], names=names, changes=changes)


KINDS: dict[str, Kind] = {"arguments": arguments, "arguments-of-runs": of_runs}
