"""The processes of a run: a server on one core, a client on another, and lines of JSON between them and us."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from .figures import Wrong

ROOT = Path(__file__).parents[1]
SERVER_CORE, CLIENT_CORE = 0, 1
STOP_SECONDS = 20


class Process:
    def __init__(self, module: str, *args: str) -> None:
        self._name = module
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"bench.{module}", *args],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if not k.startswith("LEADFLOOR_")},
        )

    def heard(self) -> dict[str, Any]:
        """The next line of JSON it prints. Raises Wrong when it ended instead."""
        assert self._process.stdout
        for line in self._process.stdout:
            if line.startswith("{"):
                found: dict[str, Any] = json.loads(line)
                return found
        raise Wrong(f"{self._name} ended with {self._process.wait()}")

    def say(self) -> None:
        assert self._process.stdin
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def asked(self) -> dict[str, Any]:
        self.say()
        return self.heard()

    def stop(self) -> int:
        """SIGTERM, as an operator would; its exit code."""
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        try:
            return self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()


@contextmanager
def serving(kind: str, folder: Path) -> Iterator[tuple[Process, int]]:
    """(the server, its port). Stopped at the end; Wrong unless it ends well."""
    server = Process("server", kind, str(folder), str(SERVER_CORE))
    try:
        yield server, server.heard()["port"]
    except BaseException:
        server.stop()
        raise
    if (code := server.stop()) not in (0, -signal.SIGTERM):
        raise Wrong(f"the server ended with {code}")


def measured(server: Process, client: Process) -> tuple[dict[str, Any], dict[str, Any]]:
    """Wait until the client is warm, let it measure; what the client and what the server found meanwhile."""
    client.heard()
    server.asked()
    client.say()
    theirs = client.heard()
    ours = server.asked()
    client.stop()
    return theirs, ours
