"""A study on disk: one SQLite file that holds its settings, images, participants, trials and answers.

All trials of a participant are created when they join.  The browser knows an image only by a token of its trial and
side, so neither its name nor another trial reveals whether it is fake.
"""

import json
import random
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from ganforge.errors import OptionError, RunError
from ganforge.serialize import from_plain

Side = Literal["left", "right"]
Phase = Literal["practice", "scored", "done"]
SIDES: tuple[Side, Side] = ("left", "right")

VERSION = 1
OPEN = 16  # connections to the file at once, so that a crowd of participants needs few open files
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
    """Settings of a study; the defaults are the paper's (section 4.1)."""

    practice: int = 10
    """Practice trials at the start of a session, with feedback."""
    trials: int = 40
    """Scored trials after them, without feedback."""
    seconds: float = 1.0
    """Time for which a pair is shown."""
    same_input: bool = False
    """Pair fake k with real k, as for colourisation; otherwise with any real image, as for maps and photos."""
    height: int = 256
    width: int = 256
    fakes: str = ""
    """The source of the fakes, as given."""
    reals: str = ""

    @property
    def length(self) -> int:
        """Trials per session."""
        return self.practice + self.trials


@dataclass(frozen=True)
class State:
    """The state of a participant: all that the browser may know."""

    phase: Phase
    trial: int
    """Number of trials answered so far, which is the index of the next one."""
    number: int
    """Its number within the phase, from 1."""
    of: int
    """Trials of the phase."""
    left: str = ""
    """Token of the left image; empty once the pair was shown."""
    right: str = ""
    seen: bool = False
    """The pair was already shown, so only the answer is missing: a reload does not show a pair twice."""


@dataclass(frozen=True)
class Trial:
    """One answered trial."""

    participant: str
    number: int
    practice: bool
    fake: str
    """Name of the fake image."""
    real: str
    fake_side: Side
    called_fake: Side
    exposure_ms: float | None
    """Time that the pair was on screen, as measured by the browser."""
    response_ms: float | None

    def __post_init__(self) -> None:
        """Raises RunError where a value is none that a study writes."""
        texts = all(isinstance(value, str) for value in (self.participant, self.fake, self.real))
        times = (self.exposure_ms, self.response_ms)
        timed = all(time is None or (isinstance(time, float) and 0 <= time < 10**9) for time in times)
        sides = self.fake_side in SIDES and self.called_fake in SIDES
        if not (texts and timed and sides and isinstance(self.number, int) and self.number >= 0):
            raise RunError(
                f"The study is damaged: trial {self.number!r} of {self.participant!r} has impossible values."
            )

    @property
    def fooled(self) -> bool:
        """Whether the fake was called real."""
        return self.called_fake != self.fake_side


class StaleStateError(RunError):
    """The browser refers to an unknown participant, or to a trial that is not the current one."""


class Study:
    """An open study.  Every call is its own transaction, so threads and processes may share the file."""

    def __init__(self, path: str | Path) -> None:
        """Raises RunError where there is no study of this version at `path`."""
        self.path = Path(path)
        self.opening, self.writing = threading.BoundedSemaphore(OPEN), threading.Lock()
        if not self.path.is_file():
            raise RunError(f"There is no study {path}: make one with ganforge study FAKES --against REALS -o {path}.")
        try:
            with self._open() as database:
                version, self.id, self.token, settings = database.execute("SELECT * FROM facts").fetchone()
                counts = "SELECT COUNT(*) FROM pictures WHERE fake = "
                fakes, reals = (database.execute(counts + side).fetchone()[0] for side in "10")
        except (RunError, sqlite3.Error, TypeError, ValueError) as error:
            raise RunError(f"{path} is not a study of GANForge: name a file that ganforge study made.") from error
        if version != VERSION:
            raise RunError(f"{path} is a study of version {version}, and this GANForge reads version {VERSION}.")
        try:
            self.settings = from_plain(Settings, json.loads(settings))
            check_settings(self.settings, fakes, reals)
        except (OptionError, TypeError, ValueError, AttributeError, RecursionError) as error:
            raise RunError(f"The study {path} is damaged: its settings are those of no study ({error}).") from error
        if not isinstance(self.token, str) or not self.token.isascii() or not isinstance(self.id, str):
            raise RunError(f"The study {path} is damaged: its access token is no text.")

    @classmethod
    def create(
        cls,
        path: str | Path,
        settings: Settings,
        fakes: Sequence[tuple[str, bytes]],
        reals: Sequence[tuple[str, bytes]],
    ) -> "Study":
        """Create a study of (name, PNG) images, all of the settings' size.

        Raises OptionError where there are fewer images than trials, RunError where the file exists or cannot be
        written.
        """
        check_settings(settings, len(fakes), len(reals))
        path = Path(path)
        draft = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with closing(sqlite3.connect(draft)) as database, database:
                database.executescript(SCHEMA)
                facts = (VERSION, secrets.token_hex(8), secrets.token_urlsafe(16), json.dumps(asdict(settings)))
                database.execute("INSERT INTO facts VALUES (?, ?, ?, ?)", facts)
                rows = [*((1, *picture) for picture in fakes), *((0, *picture) for picture in reals)]
                database.executemany("INSERT INTO pictures (fake, name, png) VALUES (?, ?, ?)", rows)
            path.hardlink_to(draft)  # fails where the file exists
        except FileExistsError as error:
            raise RunError(f"{path} exists already: name another file.") from error
        except (OSError, sqlite3.Error) as error:
            raise RunError(f"{path} cannot be written: {getattr(error, 'strerror', None) or error}.") from error
        finally:
            draft.unlink(missing_ok=True)
        return cls(path)

    def join(self, language: str = "en", chance: random.Random | None = None) -> str:
        """Create a participant and all their trials; returns the id, which only this participant's browser knows.

        No image is shown twice in a session.  Images, pairs and sides are drawn at random for each participant.
        """
        chance, participant = chance or random.SystemRandom(), secrets.token_urlsafe(16)
        with self._open(writes=True) as database:
            numbers = "SELECT number FROM pictures WHERE fake = ? ORDER BY number"
            fakes, reals = ([row[0] for row in database.execute(numbers, (fake,))] for fake in (1, 0))
            length = self.settings.length
            if self.settings.same_input:
                pairs = chance.sample([*zip(fakes, reals, strict=True)], length)
            else:
                pairs = [*zip(chance.sample(fakes, length), chance.sample(reals, length), strict=True)]
            database.execute("INSERT INTO participants VALUES (?, ?, ?)", (participant, utc_now(), language[:20]))
            database.executemany(
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
        """The state of a participant.  Raises StaleStateError for an unknown one."""
        with self._open() as database:
            return self._state(database, participant)

    def show(self, participant: str, trial: int) -> None:
        """Record that a pair is about to be shown; from then on its images are not served again.

        Raises StaleStateError where the trial is not the participant's next, or was shown before.
        """
        with self._open(writes=True) as database:
            state = self._state(database, participant)
            if state.phase == "done" or state.trial != trial or state.seen:
                raise StaleStateError("This pair was shown before.")
            database.execute(
                "UPDATE trials SET shown = ? WHERE participant = ? AND number = ?", (utc_now(), participant, trial)
            )

    def answer(
        self,
        participant: str,
        trial: int,
        called_fake: Side,
        exposure_ms: float | None = None,
        response_ms: float | None = None,
    ) -> Side | None:
        """Store an answer; the first one counts.  Returns the fake's side in practice trials, None in scored ones.

        Raises StaleStateError where the trial is not the next, or was not shown yet.
        """
        with self._open(writes=True) as database:
            state = self._state(database, participant)
            row = database.execute(
                "SELECT fake_side, shown, called_fake FROM trials WHERE participant = ? AND number = ?",
                (participant, trial),
            ).fetchone()
            if row is None or row[1] is None or (row[2] is None and state.trial != trial):
                raise StaleStateError("This trial is not the next one.")
            if row[2] is None:  # an answer sent again after a lost connection is ignored
                database.execute(
                    "UPDATE trials SET answered = ?, called_fake = ?, exposure_ms = ?, response_ms = ? "
                    "WHERE participant = ? AND number = ?",
                    (utc_now(), called_fake, exposure_ms, response_ms, participant, trial),
                )
            return row[0] if trial < self.settings.practice else None

    def picture(self, token: str) -> bytes | None:
        """The PNG of a token, if its trial is the participant's next and was not shown; else None."""
        with self._open() as database:
            row = database.execute(
                "SELECT participant, number, fake, real, fake_side, left_token FROM trials "
                "WHERE (left_token = ? OR right_token = ?) AND shown IS NULL",
                (token, token),
            ).fetchone()
            if row is None or self._state(database, row[0]).trial != row[1]:
                return None
            fake = (row[4] == "left") == (row[5] == token)
            return database.execute(
                "SELECT png FROM pictures WHERE number = ?", (row[2] if fake else row[3],)
            ).fetchone()[0]

    def trials(self) -> list[Trial]:
        """Every answered trial, by participant in order of joining."""
        with self._open() as database:
            rows = database.execute(
                "SELECT t.participant, t.number, f.name, r.name, t.fake_side, t.called_fake, t.exposure_ms, "
                "t.response_ms FROM trials t JOIN participants p ON p.id = t.participant "
                "JOIN pictures f ON f.number = t.fake JOIN pictures r ON r.number = t.real "
                "WHERE t.called_fake IS NOT NULL ORDER BY p.joined, p.id, t.number"
            ).fetchall()
        return [Trial(row[0], row[1], row[1] < self.settings.practice, *row[2:]) for row in rows]

    def count_participants(self) -> int:
        """Number of participants who have joined, finished or not."""
        with self._open() as database:
            return database.execute("SELECT COUNT(*) FROM participants").fetchone()[0]

    def _state(self, database: sqlite3.Connection, participant: str) -> State:
        row = database.execute(
            "SELECT number, left_token, right_token, shown FROM trials "
            "WHERE participant = ? AND called_fake IS NULL ORDER BY number LIMIT 1",
            (participant,),
        ).fetchone()
        s = self.settings
        if row is None:
            if database.execute("SELECT 1 FROM participants WHERE id = ?", (participant,)).fetchone() is None:
                raise StaleStateError("This study does not know this participant.")
            return State("done", s.length, s.trials, s.trials)
        trial, left, right, shown = row
        tokens = ("", "", True) if shown else (left, right, False)
        if trial < s.practice:
            return State("practice", trial, trial + 1, s.practice, *tokens)
        return State("scored", trial, trial - s.practice + 1, s.trials, *tokens)

    @contextmanager
    def _open(self, writes: bool = False) -> Iterator[sqlite3.Connection]:
        """One transaction, written completely or not at all.  Raises RunError for errors of SQLite."""
        turn = self.writing if writes else nullcontext()  # in order of arrival: SQLite's own waiting is not fair
        try:
            with turn, self.opening, closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as database:
                # A state that was read must still hold when it is written.
                database.execute("BEGIN IMMEDIATE" if writes else "BEGIN")
                yield database
                database.execute("COMMIT")  # skipped by an exception: closing rolls back
        except sqlite3.Error as error:
            raise RunError(f"The study {self.path} cannot be read or written: {error}.") from error


def check_settings(settings: Settings, fakes: int, reals: int) -> None:
    """Raise OptionError for invalid settings, or for too few images for them."""
    if settings.trials < 1 or settings.practice < 0:
        raise OptionError(
            f"A session of {settings.practice} practice and {settings.trials} scored trials measures nothing: "
            "ask for at least one scored trial."
        )
    if not 0 < settings.seconds <= 60:
        raise OptionError(f"A pair cannot be shown for {settings.seconds} seconds: give more than 0 and at most 60.")
    if settings.same_input and fakes != reals:
        raise OptionError(f"With the same inputs, fake k belongs to real k: {fakes} fakes do not match {reals} reals.")
    if min(fakes, reals) < settings.length:
        raise OptionError(
            f"A session of {settings.length} trials needs as many fakes and as many reals, so that none is "
            f"shown twice; there are {fakes} and {reals}: give more images, or lower --trials and --practice."
        )


def utc_now() -> str:
    """The current UTC time in ISO format, to the microsecond."""
    return datetime.now(UTC).isoformat()
