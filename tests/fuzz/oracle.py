"""What must hold of every case: success, or one sentence; nothing outside; no code; bounded time and memory."""

import os
import re
import signal
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.fuzz.case import MARKER, Case
from tests.fuzz.trees import state_of

LINES, LETTERS = 6, 2500
"""The most of a sentence; a wrong command line has a box of LINES + 20."""
FREE = ("cache", "home", "data", "tmp")
WROTE = re.compile(r"Wrote (\d+) into")


@dataclass
class Played:
    """How the child of a case ended."""

    status: int
    memory: int
    """Its largest resident set, in bytes."""
    seconds: float
    result: Mapping[str, Any] | None
    out: str
    err: str


def judged(case: Case, played: Played, before: Mapping[str, tuple[int, ...]], root: Path) -> list[str]:
    """A line for everything that does not hold; what weighs most first."""
    faults = []
    if (root / MARKER).exists():
        faults.append("code of the case was run")
    result = played.result
    if result is None:
        return [*faults, died(case, played)]
    faults += [f"outside: {seen}" for seen in result["seen"]]
    after = state_of(root)
    code = result["codes"][-1] if result["codes"] else None
    if result["raised"]:
        return [*faults, "traceback: " + last_lines(result["raised"]), *moved(case, before, after, code)]
    faults += moved(case, before, after, code)
    for name, text in (("stdout", played.out), ("stderr", played.err)):
        if "Traceback (most recent call last)" in text:
            faults.append(f"traceback on {name}: {last_lines(text)}")
    if code not in (0, 1, 2):
        faults.append(f"exit code {code}")
    elif code:
        faults += sentence(case, played.err)
    if warned := re.search(r"\w*Warning: .*", played.err):
        faults.append(f"a warning of Python: {warned[0][:150]}")
    faults += result["wrong"]
    faults += wanted(case, code, played)
    if case.counts and code == 0:
        faults += miscounted(root / case.counts, played.out)
    if played.seconds > case.limit:
        faults.append(f"{played.seconds:.0f} seconds")
    return faults


def died(case: Case, played: Played) -> str:
    """How it ended without a result."""
    number = os.WTERMSIG(played.status) if os.WIFSIGNALED(played.status) else 0
    if number == signal.SIGALRM:
        places = re.findall(r'File "[^"]*/ganforge/([^"]+)", line (\d+) in (\w+)', played.err)
        where = " < ".join(f"{file}:{line} {name}" for file, line, name in places[:4])
        return f"hangs longer than {case.limit:g} s, in {where or played.err[-300:]}"
    how = f"signal {signal.Signals(number).name}" if number else f"status {os.waitstatus_to_exitcode(played.status)}"
    return f"crash: {how}; {played.err[-400:]}"


def last_lines(text: str) -> str:
    """The last places of a traceback that are ours, and its last line."""
    places = re.findall(r'File "[^"]*/src/ganforge/([^"]+)", line (\d+), in (\w+)', text)
    ends = [line for line in text.splitlines() if re.match(r"[\w.]+(Error|Exception|Interrupt|Exit|Warning)\b", line)]
    where = " > ".join(f"{file}:{line} {name}" for file, line, name in places[-3:])
    return f"{(ends or text.strip().splitlines() or [''])[-1][:300]}   [{where}]"


def sentence(case: Case, err: str) -> list[str]:
    """What is wrong with a refusal."""
    text = err.strip()
    if not text:
        return ["a refusal without a sentence"]
    faults = []
    lines, boxed = text.splitlines(), "╭" in text or "---" in text
    if len(lines) > LINES + 20 * boxed or len(text) > LETTERS + 2000 * boxed:
        faults.append(f"a refusal of {len(lines)} lines and {len(text):,} letters: {text[:150]!r}")
    paths = [word for words in case.words for word in words[1:]]
    tokens = {*case.names, *paths, *(Path(word).name for word in paths if "/" in word), "--"}
    if not any(token and token in text for token in tokens):
        faults.append(f"a refusal that names neither file nor flag: {text[-200:]!r}")
    return faults


def moved(
    case: Case, before: Mapping[str, tuple[int, ...]], after: Mapping[str, tuple[int, ...]], code: int | None
) -> list[str]:
    """What was made, changed or removed where nothing may be."""
    refused = bool(code)
    allowed = (*FREE, *case.changes)
    wrong = []
    for path in sorted({*before, *after}):
        if before.get(path) == after.get(path):
            continue
        free = any(path == place or path.startswith(f"{place}/") for place in allowed)
        held = refused and any(path.startswith(f"{place}/") for place in case.kept) and not path.endswith("/.lock")
        if not free:
            wrong.append(f"outside: {path[-80:]} was {'made' if path not in before else 'changed'}")
        elif held and (path in before or not stat.S_ISDIR(after[path][0])):
            wrong.append(f"a refusal changed {path[-80:]}")
    if refused and len(case.words) > 0:
        wrong += [f"a refusal leaves {path}" for path in case.gone if path in after]
    return wrong[:3]


def wanted(case: Case, code: int | None, played: Played) -> list[str]:
    """Whether it was accepted or refused as it must be."""
    said = f"{played.out} {played.err}"
    if case.must == "accept" and code:
        return [f"refused what must be accepted: {played.err.strip()[:300]}"]
    if case.must == "refuse" and code == 0:
        return ["accepted what must be refused"]
    if case.must == "notice" and code == 0 and not any(name in said for name in case.names):
        return ["accepted without a word what must be refused or noticed"]
    return []


def miscounted(folder: Path, said: str) -> list[str]:
    """Whether as many pictures were written as is said."""
    told = WROTE.search(said)
    there = sum(file.is_file() for file in folder.rglob("*")) if folder.is_dir() else 0
    return [f"{told[0]!r} is said, and {there} files are there"] if told and int(told[1]) != there else []


def memory_of(status: Path) -> int:
    """The resident set of this process, in bytes."""
    found = re.search(r"VmRSS:\s+(\d+) kB", status.read_text())
    return int(found[1]) * 1024 if found else 0
