"""A study on disk: one SQLite file that holds its settings, pictures, participants, trials and answers.

All trials of a participant are laid out when they join.  A picture of a trial is known to the browser by a token of
that trial and side alone, so neither its name nor another trial tells whether it is fake.
"""

import json
import random
import secrets
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ganforge.errors import OptionError, RunError

Side = Literal["left", "right"]
Phase = Literal["practice", "scored", "done"]
SIDES: tuple[Side, Side] = ("left", "right")

VERSION = 1
SCHEMA = """
CREATE TABLE facts (version INTEGER, id TEXT, token TEXT, settings TEXT);
CREATE TABLE pictures (number INTEGER PRIMARY KEY, fake INTEGER NOT NULL, name TEXT NOT NULL, png BLOB NOT NULL);
CREATE TABLE participants (id TEXT PRIMARY KEY, joined TEXT NOT NULL, language TEXT NOT NULL);
CREATE TABLE trials (
    participant TEXT NOT NULL REFERENCES participants (id),
    number INTEGER NOT NULL,
    fake INTEGER NOT NULL REFERENCES pictures (number),
    real INTEGER NOT NULL REFERENCES pictures (number),
    fake_side TEXT NOT NULL,
    left_token TEXT NOT NULL UNIQUE,
    right_token TEXT NOT NULL UNIQUE,
    shown TEXT,
    answered TEXT,
    called_fake TEXT,
    exposure_ms REAL,
    response_ms REAL,
    PRIMARY KEY (participant, number)
);
"""


@dataclass(frozen=True)
class Settings:
    """How the study is done; the defaults are the paper's (section 4.1)."""

    practice: int = 10
    """First trials of a session, with feedback."""
    trials: int = 40
    """Scored trials after them, without."""
    seconds: float = 1.0
    """For how long a pair is seen."""
    same_input: bool = False
    """Fake k stands beside real k, as for colourisation; else beside any, as for maps and photos."""
    height: int = 256
    width: int = 256
    fakes: str = ""
    """Where the fakes came from, as it was asked for."""
    reals: str = ""

    @property
    def length(self) -> int:
        """Trials of a session."""
        return self.practice + self.trials


@dataclass(frozen=True)
class State:
    """Where a participant stands, and all that the browser may know of it."""

    phase: Phase
    trial: int
    """Trials answered so far, which is the number of the one to come."""
    number: int
    """Its number within the phase, from 1 on."""
    of: int
    """Trials of the phase."""
    left: str = ""
    """Token of the left picture; empty once the pair was shown."""
    right: str = ""
    seen: bool = False
    """The pair was shown before, so only the question is left: nobody sees a pair twice by reloading."""


@dataclass(frozen=True)
class Trial:
    """One answered trial."""

    participant: str
    number: int
    practice: bool
    fake: str
    """Name of the fake picture."""
    real: str
    fake_side: Side
    called_fake: Side
    exposure_ms: float | None
    """For how long the browser says that the pair was on the screen."""
    response_ms: float | None

    @property
    def fooled(self) -> bool:
        """The fake was called real."""
        return self.called_fake != self.fake_side


class Lost(RunError):
    """The browser speaks of a participant or a trial that this study does not know, or has left behind."""


class Study:
    """An open study.  Every call is one transaction of its own, so threads and processes may share the file."""

    def __init__(self, path: str | Path) -> None:
        """Raises RunError when there is no study of this version at `path`."""
        self.path = Path(path)
        if not self.path.is_file():
            raise RunError(f"There is no study {path}: make one with ganforge study FAKES --against REALS -o {path}.")
        try:
            with self._open() as base:
                version, self.id, self.token, settings = base.execute("SELECT * FROM facts").fetchone()
        except (RunError, sqlite3.Error, TypeError, ValueError) as error:
            raise RunError(f"{path} is not a study of ganforge: name a file that ganforge study made.") from error
        if version != VERSION:
            raise RunError(f"{path} is a study of version {version}, and this ganforge reads version {VERSION}.")
        self.settings = Settings(**json.loads(settings))

    @classmethod
    def create(
        cls,
        path: str | Path,
        settings: Settings,
        fakes: Sequence[tuple[str, bytes]],
        reals: Sequence[tuple[str, bytes]],
    ) -> "Study":
        """A new study of (name, PNG) pictures, all of the settings' size.

        Raises OptionError when there are fewer pictures than trials, and RunError when the file exists or cannot be
        written.
        """
        check(settings, len(fakes), len(reals))
        path = Path(path)
        draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(draft)) as base, base:
                base.executescript(SCHEMA)
                facts = (VERSION, secrets.token_hex(8), secrets.token_urlsafe(16), json.dumps(asdict(settings)))
                base.execute("INSERT INTO facts VALUES (?, ?, ?, ?)", facts)
                rows = [*((1, *picture) for picture in fakes), *((0, *picture) for picture in reals)]
                base.executemany("INSERT INTO pictures (fake, name, png) VALUES (?, ?, ?)", rows)
            path.hardlink_to(draft)  # fails where the name is taken
        except FileExistsError as error:
            raise RunError(f"{path} exists already: name another file.") from error
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
        finally:
            draft.unlink(missing_ok=True)
        return cls(path)

    def join(self, language: str = "en", chance: random.Random | None = None) -> str:
        """A new participant with all trials laid out; returns the id that only this participant's browser knows.

        No picture comes twice in a session.  Which of them come, with what, and on which side, is drawn anew.
        """
        chance, participant = chance or random.SystemRandom(), secrets.token_urlsafe(16)
        with self._open(writes=True) as base:
            fakes = [number for (number,) in base.execute("SELECT number FROM pictures WHERE fake = 1 ORDER BY number")]
            reals = [number for (number,) in base.execute("SELECT number FROM pictures WHERE fake = 0 ORDER BY number")]
            length = self.settings.length
            if self.settings.same_input:
                pairs = chance.sample([*zip(fakes, reals, strict=True)], length)
            else:
                pairs = [*zip(chance.sample(fakes, length), chance.sample(reals, length), strict=True)]
            base.execute("INSERT INTO participants VALUES (?, ?, ?)", (participant, now(), language[:20]))
            base.executemany(
                "INSERT INTO trials (participant, number, fake, real, fake_side, left_token, right_token) "
                "VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        participant,
                        k,
                        *pair,
                        chance.choice(["left", "right"]),
                        *(secrets.token_urlsafe(16) for _ in "lr"),
                    )
                    for k, pair in enumerate(pairs)
                ],
            )
        return participant

    def state(self, participant: str) -> State:
        """Where a participant stands.  Raises Lost for one this study does not know."""
        with self._open() as base:
            return self._state(base, participant)

    def show(self, participant: str, trial: int) -> None:
        """Note that a pair is about to be seen; from then on its pictures are not given out again.

        Raises Lost when the trial is not the participant's next, or was seen before.
        """
        with self._open(writes=True) as base:
            state = self._state(base, participant)
            if state.phase == "done" or state.trial != trial or state.seen:
                raise Lost("This pair was shown before.")
            base.execute(
                "UPDATE trials SET shown = ? WHERE participant = ? AND number = ?", (now(), participant, trial)
            )

    def answer(
        self,
        participant: str,
        trial: int,
        called_fake: Side,
        exposure_ms: float | None = None,
        response_ms: float | None = None,
    ) -> Side | None:
        """Store an answer for good; the first counts.  Returns the fake's side in practice, None where it is scored.

        Raises Lost when the trial is not the next, or was not shown yet.
        """
        with self._open(writes=True) as base:
            state = self._state(base, participant)
            row = base.execute(
                "SELECT fake_side, shown, called_fake FROM trials WHERE participant = ? AND number = ?",
                (participant, trial),
            ).fetchone()
            if row is None or row[1] is None or (row[2] is None and state.trial != trial):
                raise Lost("This trial is not the next one.")
            if row[2] is None:  # a second answer, sent again after a lost connection, changes nothing
                base.execute(
                    "UPDATE trials SET answered = ?, called_fake = ?, exposure_ms = ?, response_ms = ? "
                    "WHERE participant = ? AND number = ?",
                    (now(), called_fake, exposure_ms, response_ms, participant, trial),
                )
            return row[0] if trial < self.settings.practice else None

    def picture(self, token: str) -> bytes | None:
        """The PNG behind a token of a trial that is its participant's next and was not shown; else None."""
        with self._open() as base:
            row = base.execute(
                "SELECT participant, number, fake, real, fake_side, left_token FROM trials "
                "WHERE (left_token = ? OR right_token = ?) AND shown IS NULL",
                (token, token),
            ).fetchone()
            if row is None or self._state(base, row[0]).trial != row[1]:
                return None
            fake = (row[4] == "left") == (row[5] == token)
            return base.execute("SELECT png FROM pictures WHERE number = ?", (row[2] if fake else row[3],)).fetchone()[
                0
            ]

    def trials(self) -> list[Trial]:
        """Every answered trial, by participants in the order in which they joined."""
        with self._open() as base:
            rows = base.execute(
                "SELECT t.participant, t.number, f.name, r.name, t.fake_side, t.called_fake, t.exposure_ms, "
                "t.response_ms FROM trials t JOIN participants p ON p.id = t.participant "
                "JOIN pictures f ON f.number = t.fake JOIN pictures r ON r.number = t.real "
                "WHERE t.called_fake IS NOT NULL ORDER BY p.joined, p.id, t.number"
            ).fetchall()
        return [Trial(row[0], row[1], row[1] < self.settings.practice, *row[2:]) for row in rows]

    def joined(self) -> int:
        """Participants that have joined, finished or not."""
        with self._open() as base:
            return base.execute("SELECT COUNT(*) FROM participants").fetchone()[0]

    def _state(self, base: sqlite3.Connection, participant: str) -> State:
        row = base.execute(
            "SELECT number, left_token, right_token, shown FROM trials "
            "WHERE participant = ? AND called_fake IS NULL ORDER BY number LIMIT 1",
            (participant,),
        ).fetchone()
        s = self.settings
        if row is None:
            if base.execute("SELECT 1 FROM participants WHERE id = ?", (participant,)).fetchone() is None:
                raise Lost("This study does not know this participant.")
            return State("done", s.length, s.trials, s.trials)
        trial, left, right, shown = row
        tokens = ("", "", True) if shown else (left, right, False)
        if trial < s.practice:
            return State("practice", trial, trial + 1, s.practice, *tokens)
        return State("scored", trial, trial - s.practice + 1, s.trials, *tokens)

    @contextmanager
    def _open(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction: all of it is on the disk, or nothing.  Raises RunError when the file fails."""
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as base:
                base.execute("BEGIN IMMEDIATE" if writes else "BEGIN")  # what was read must hold when it is written
                yield base
                base.execute("COMMIT")  # left out by an exception: closing rolls back
        except sqlite3.Error as error:
            raise RunError(f"The study {self.path} cannot be read or written: {error}.") from error


def check(settings: Settings, fakes: int, reals: int) -> None:
    """Raise OptionError for settings that cannot be carried out with so many pictures."""
    if settings.trials < 1 or settings.practice < 0:
        raise OptionError(
            f"A session of {settings.practice} practice and {settings.trials} scored trials measures nothing: "
            "ask for at least one scored trial."
        )
    if not 0 < settings.seconds <= 60:
        raise OptionError(f"A pair cannot be shown for {settings.seconds} seconds: say more than 0 and at most 60.")
    if settings.same_input and fakes != reals:
        raise OptionError(f"With the same inputs, fake k belongs to real k: {fakes} fakes do not match {reals} reals.")
    if min(fakes, reals) < settings.length:
        raise OptionError(
            f"A session of {settings.length} trials needs as many fakes and as many reals, so that none comes twice; "
            f"there are {fakes} and {reals}: give more pictures, or lower --trials and --practice."
        )


def now() -> str:
    """The time, in UTC, to the microsecond."""
    return datetime.now(UTC).isoformat()
