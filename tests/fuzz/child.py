"""What happens in the child that carries out one case: the command with its streams in files, and what was seen."""

import contextlib
import faulthandler
import io
import json
import os
import re
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import traceback
from pathlib import Path
from typing import Any

from tests.fuzz.case import Case
from tests.fuzz.readback import complaints

ROOM = 3 * 2**30
"""Bytes of address space beyond what the warm process has."""
ITSELF = ("os.rename", "os.remove", "os.symlink")
STARTS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "pty.spawn")


class Guard:
    """Notes what a case does that it must not: files written outside, code of its own, programs started."""

    def __init__(self, root: Path) -> None:
        self.root, self.seen, self.on = str(root), list[str](), True
        sys.addaudithook(self.hear)

    def hear(self, event: str, given: tuple[Any, ...]) -> None:
        """One event of the interpreter."""
        if not self.on:
            return
        if event == "open":
            path, mode, flags = given
            writes = (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)) or any(
                c in (mode or "") for c in "wax+"
            )
            if writes and isinstance(path, (str, bytes)) and not self.allowed(os.fsdecode(path)):
                self.seen.append(f"writes {os.fsdecode(path)[-80:]}")
        elif event in ("os.mkdir", "os.remove", "os.rmdir", "os.rename", "os.symlink", "os.chmod", "os.truncate"):
            path = given[1] if event in ("os.rename", "os.symlink") else given[0]
            if isinstance(path, (str, bytes)) and not self.allowed(os.fsdecode(path), event in ITSELF):
                self.seen.append(f"{event} {os.fsdecode(path)[-80:]}")
        elif event == "exec":
            file = getattr(given[0], "co_filename", "")
            if file.startswith((f"{self.root}/in", f"{self.root}/work")):
                self.seen.append(f"runs code in {file[-60:]}")
        elif event in STARTS:
            self.seen.append(f"starts a program: {str(given[0])[:80]}")

    def allowed(self, path: str, itself: bool = False) -> bool:
        """Whether a path may be written; `itself`: a link there is replaced, not what it points to."""
        self.on = False  # resolving a path must not be heard itself
        try:
            real = (
                str(Path(os.path.realpath(Path(path).parent)) / Path(path).name) if itself else os.path.realpath(path)
            )
        finally:
            self.on = True
        return real.startswith((f"{self.root}/", "/dev/null", "/dev/shm/", "/proc/self/")) or path.startswith("/dev/")


def carry_out(case: Case, root: Path) -> None:
    """Play the case; what it did goes to `result.json` beside its folder, its streams to `out` and `err`."""
    os.setpgid(0, 0)
    place = root.parent / f"{root.name}.result"
    environment(root)
    streams(place, case.encoding)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.alarm(int(case.limit) + 1)
    faulthandler.dump_traceback_later(case.limit, file=sys.__stderr__ or sys.stderr)
    room = ROOM + int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    resource.setrlimit(resource.RLIMIT_AS, (room, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(root / "work")
    guard, result = Guard(root), dict[str, Any](codes=[], raised="", wrong=[])
    start = time.monotonic()
    try:
        for words in case.words:
            result["codes"].append(command(words, case, result["wrong"]))
            if result["codes"][-1] != 0:
                break
        if case.reads:
            sys.stdout.flush()
            said = (place / "out").read_text("utf-8", "replace")
            result["wrong"] += complaints(case, case.reads, said, result["codes"][-1] != 0)
    except BaseException as error:  # whatever it is, it is what a person would see
        result["raised"] = "".join(traceback.format_exception(error))[-3000:]
    guard.on = False
    faulthandler.cancel_dump_traceback_later()
    result |= {"seconds": time.monotonic() - start, "seen": guard.seen[:5]}
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    (place / "result.json").write_text(json.dumps(result))


def command(words: list[str], case: Case, wrong: list[str]) -> int:
    """The exit code of one command; the study that it serves hears the case's requests meanwhile."""
    from ganforge.cli import run

    heard: list[str] = []
    if case.client or case.port:
        thread = threading.Thread(target=visit, args=(case, heard), daemon=True)
        thread.start()
    try:
        code = run(words)
    except SystemExit as leave:
        code = leave.code if isinstance(leave.code, int) else int(leave.code is not None)
    except KeyboardInterrupt:
        code = 130
    wrong += heard
    return code


def environment(root: Path) -> None:
    """A home, a cache and a folder for drafts of its own."""
    for name in ("home", "cache", "data", "tmp"):
        (root / name).mkdir(exist_ok=True)
    for name, value in {
        **{"HOME": "home", "GANFORGE_CACHE": "cache", "GANFORGE_DATA": "data", "TMPDIR": "tmp"},
        "TORCHINDUCTOR_CACHE_DIR": "tmp/inductor",
        **{"XDG_CACHE_HOME": "home/.cache", "XDG_DATA_HOME": "home/.local", "XDG_CONFIG_HOME": "home/.config"},
    }.items():
        os.environ[name] = str(root / value)
    tempfile.tempdir = None
    os.environ |= {"TERM": "dumb", "COLUMNS": "100", "NO_COLOR": "1"}


def streams(place: Path, encoding: str) -> None:
    """Standard streams into files, with the manners of a terminal's."""
    place.mkdir(exist_ok=True)
    for number, name, errors in ((1, "out", "strict"), (2, "err", "backslashreplace")):
        handle = os.open(place / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
        raw = io.TextIOWrapper(io.FileIO(number, "w", closefd=False), encoding, errors, write_through=True)
        setattr(sys, ("", "stdout", "stderr")[number], raw)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)


# -- whoever visits a study -------------------------------------------------------------------------


def visit(case: Case, heard: list[str]) -> None:
    """Wait for the server, send every request, note what is wrong with the answers, then press Ctrl-C."""
    try:
        if waited(case.port):
            joined = sent(case.port, stepped({"step": "join", "said": {"language": "en"}}, ""))
            found = re.search(rb'"participant": "([^"]+)"', joined)
            who = found[1].decode() if found else ""
            for asked in case.client:
                if "burst" in asked:
                    heard += burst(case.port, asked["burst"])
                    continue
                answer = sent(case.port, stepped(asked, who) if "step" in asked else asked["send"].encode("latin-1"))
                wanted = asked.get("answer", "")
                if not answer.startswith(wanted.encode()):
                    heard.append(f"{wanted!r} was expected, and {answer[:60]!r} came after {str(asked)[:120]}")
                if b"Traceback" in answer:
                    heard.append(f"a traceback is sent: {answer[-200:]!r}")
    finally:
        os.kill(os.getpid(), signal.SIGINT)


def stepped(asked: dict[str, Any], who: str) -> bytes:
    """A step of the study as a browser sends it."""
    said = {name: who if value == "@" else value for name, value in asked["said"].items()}
    body = json.dumps(said).encode()
    head = f"POST /{asked['step']} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def waited(port: int, seconds: float = 15.0) -> bool:
    """Whether somebody listens at the port before the time is over, or the command has ended."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return True
    return False


def sent(port: int, content: bytes) -> bytes:
    """The answer to some bytes; what came so far where the server waits for more."""
    answer = b""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 2) as line:
        line.settimeout(1)
        line.sendall(content)
        line.shutdown(socket.SHUT_WR)
        while part := line.recv(65536):
            answer += part
    return answer


def burst(port: int, many: int) -> list[str]:
    """What is wrong where so many come at the same moment."""
    lines, lost = list[socket.socket](), 0
    for _ in range(many):
        line = socket.socket()
        line.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            line.connect(("127.0.0.1", port))
        lines.append(line)
    for line in lines:
        line.settimeout(5)
        try:
            line.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
            lost += not line.recv(100).startswith(b"HTTP/1.0 200")
        except OSError:
            lost += 1
        finally:
            line.close()
    return [f"{lost} of {many} requests of a burst have no answer"] if lost else []
