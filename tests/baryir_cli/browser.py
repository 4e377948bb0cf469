"""Headless Chromium, driven over a pipe by its DevTools protocol."""

from __future__ import annotations

import fcntl
import itertools
import json
import os
import shutil
import signal
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


def chromium() -> str | None:
    """The path of Chromium, if it is installed."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


class Browser:
    """One page; ``events`` holds all that it reported, such as console messages and requests."""

    def __init__(self, program: str) -> None:
        self.program = program
        self.events: list[dict[str, Any]] = []
        self.session: str | None = None
        self.numbers = itertools.count(1)

    def __enter__(self) -> Browser:
        self.stack = ExitStack()
        try:
            profile = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
            self._start(self.stack.enter_context(profile))
            target = self.call("Target.createTarget", url="about:blank")["targetId"]
            found = self.call("Target.attachToTarget", targetId=target, flatten=True)
            self.session = found["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                self.call(f"{domain}.enable")
        except BaseException:
            self.stack.close()
            raise
        return self

    def __exit__(self, *_error: object) -> None:
        self.stack.close()

    def _start(self, profile: str) -> None:
        read_here, write_there = os.pipe()
        read_there, write_here = os.pipe()
        self.source = self.stack.enter_context(os.fdopen(read_here, "rb"))
        self.sink = self.stack.enter_context(os.fdopen(write_here, "wb", buffering=0))
        # The protocol uses descriptors 3 (in) and 4 (out). The pipes may have these very numbers,
        # so they are moved up first.
        high = [fcntl.fcntl(fd, fcntl.F_DUPFD, 100) for fd in (read_there, write_there)]
        quiet = os.open(os.devnull, os.O_WRONLY)
        moves = [
            (os.POSIX_SPAWN_DUP2, fd, to) for fd, to in ((quiet, 2), (high[0], 3), (high[1], 4))
        ]
        closed = [(os.POSIX_SPAWN_CLOSE, fd) for fd in high]
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        command = [self.program, *flags, "--remote-debugging-pipe", f"--user-data-dir={profile}"]
        process = os.posix_spawn(
            self.program, [*command, "about:blank"], os.environ, file_actions=moves + closed
        )
        self.stack.callback(os.waitpid, process, 0)
        self.stack.callback(os.kill, process, signal.SIGKILL)
        for fd in (read_there, write_there, quiet, *high):
            os.close(fd)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Sends one command and returns its answer."""
        number = next(self.numbers)
        message: dict[str, Any] = {"id": number, "method": method, "params": parameters}
        if self.session:
            message["sessionId"] = self.session
        self.sink.write(json.dumps(message).encode() + b"\0")
        while (answer := self._next()).get("id") != number:
            self.events.append(answer)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self, path: Path) -> None:
        """Loads a file and waits until it is complete."""
        self.call("Page.navigate", url=path.as_uri())
        while not any(e.get("method") == "Page.loadEventFired" for e in self.events):
            self.events.append(self._next())

    def evaluate(self, script: str) -> Any:
        """The value of an expression on the page."""
        answer = self.call("Runtime.evaluate", expression=script, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        return answer["result"].get("value")

    def named(self, method: str) -> list[dict[str, Any]]:
        """Parameters of all events of a kind."""
        return [e["params"] for e in self.events if e.get("method") == method]

    def _next(self) -> dict[str, Any]:
        data = bytearray()
        while (byte := self.source.read(1)) != b"\0":
            if not byte:
                raise RuntimeError("the browser is gone")
            data += byte
        return json.loads(data)
