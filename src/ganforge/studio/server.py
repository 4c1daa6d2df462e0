"""Serve the studio: a socket, a token, the gate in front of Gradio, and a folder for uploads that is deleted."""

import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from secrets import token_urlsafe
from typing import Any

from ganforge.console import Say, silent
from ganforge.errors import OptionError

PORT = 8770
GIGABYTE = 10**9
KEPT = 3600.0  # seconds that files of visitors stay


def serve(
    runs: Sequence[str | Path] = ("runs",),
    *,
    host: str = "127.0.0.1",
    port: int = PORT,
    memory: float = 2.0,
    data_root: Sequence[str | Path] = (),
    allow_train: bool = False,
    device: str = "auto",
    say: Say = silent,
) -> None:
    """Serve the studio until Ctrl-C; `say` receives the link, which has the token.

    `runs` are run folders and folders of runs; `memory` GB of weights stay loaded; trainings may use the data that lie
    in `data_root` folders.  Where `host` is not loopback, they are started only with `allow_train`.  `port` 0 takes a
    free one.

    Raises OptionError where Gradio is missing or the address cannot be bound, RunError for a place that is no folder.
    """
    from ganforge.human_study.server import find_address, is_loopback
    from ganforge.studio.gate import Gate, names_of

    uploads = Path(tempfile.mkdtemp(prefix="ganforge-studio-"))
    try:
        set_environment(uploads)
        listening = bind(host, port)
    except OptionError:
        uploads.rmdir()
        raise
    ended = threading.Event()
    try:
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the uploads are deleted then, too
        threading.Thread(target=delete_uploads, args=(uploads, ended), daemon=True).start()
        import uvicorn

        port, token = listening.getsockname()[1], token_urlsafe(24)
        app = build(runs, uploads, int(memory * GIGABYTE), data_root, allow_train or is_loopback(host), device)
        shared = host in ("0.0.0.0", "::", "")
        address = find_address() if shared else host
        gate = Gate(app, token, port, {*names_of(host), *([address] if shared else [])})
        shown = f"[{address}]" if ":" in address else address
        config = uvicorn.Config(gate, log_level="warning", timeout_graceful_shutdown=1, ws="none", server_header=False)
        say(f"The studio is at http://{shown}:{port}/?token={token}\nCtrl-C stops it; trainings go on.")
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listening])
    finally:
        ended.set()
        listening.close()
        shutil.rmtree(uploads, ignore_errors=True)


def delete_uploads(folder: Path, ended: threading.Event, age: float = KEPT, every: float = 60.0) -> None:
    """Delete the files of visitors that are older than `age` seconds, again and again, until the studio has ended."""
    while not ended.wait(every):
        for path in sorted(folder.rglob("*"), reverse=True):
            with suppress(OSError):  # a folder that is not empty, a file that its reader deletes
                if path.is_dir() and not path.is_symlink():
                    path.rmdir()
                elif time.time() - path.lstat().st_mtime > age:
                    path.unlink()


def set_environment(uploads: Path) -> None:
    """Settings that Gradio reads when it is imported.  Raises OptionError where it is not installed."""
    os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": str(uploads), "HF_HUB_OFFLINE": "1"}
    os.environ |= {"GRADIO_SHARE": "False", "GRADIO_ALLOWED_PATHS": "", "GRADIO_SSR_MODE": "False"}
    try:
        import gradio  # noqa: F401 - whether it is there
    except ImportError as error:
        raise OptionError(
            "The studio needs Gradio, which is not installed: python -m pip install 'ganforge[studio]'"
        ) from error


def bind(host: str, port: int) -> socket.socket:
    """A listening socket.  Raises OptionError where the address cannot be bound."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(128)
    except (OSError, OverflowError) as error:
        listening.close()
        why = getattr(error, "strerror", None) or error
        raise OptionError(f"The studio cannot be served at {host} port {port} ({why}): try --port 0.") from error
    return listening


def build(
    runs: Sequence[str | Path],
    uploads: Path,
    memory: int,
    data_root: Sequence[str | Path],
    may_train: bool,
    device: str,
) -> Any:
    """The studio as an ASGI application, without its gate."""
    import gradio as gr
    from fastapi import FastAPI

    from ganforge.studio.app import THEME, build_app
    from ganforge.studio.context import ASSETS, WORDS, Context
    from ganforge.studio.keeper import Keeper
    from ganforge.studio.library import Library
    from ganforge.studio.pictures import MOST_BYTES
    from ganforge.studio.trainings import Trainings

    library = Library(runs)
    context = Context(library, Keeper(library, memory, device), Trainings(library, data_root, may_train), uploads)
    blocks = build_app(context).queue(max_size=200, default_concurrency_limit=8, api_open=False)
    return gr.mount_gradio_app(
        FastAPI(docs_url=None, redoc_url=None, openapi_url=None),
        blocks,
        "/",
        footer_links=[],
        run_history=False,
        allowed_paths=[],
        blocked_paths=[],
        max_file_size=MOST_BYTES,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        i18n=WORDS,
        theme=THEME,
        css_paths=[ASSETS / "studio.css"],
    )
