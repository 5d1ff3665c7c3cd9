"""A hub that stops for ever at a named point, for `test_process.py` to kill there. It is `main.py` with a few methods wrapped.

Lines on stdin: `hub`, a folder, a mark and a point, separated by tabs, forks a hub on a free port that stops there for the first
webhook whose bytes contain the mark; `buried` waits for its end. Lines on stdout: `PID n`, the hub's own greeting, `AT point`,
`BURIED`. Forking saves each hub the second that the
imports take; files, threads and sockets are all its own.
"""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any

import main
from backend.inbox import deliveries
from backend.store import migrate
from backend.store.database import Store
from backend.store.journal import Recorded
from backend.streams.tail import Tail

COMPANY = "demo"
POINTS = (
    *("before begin", "begun", "before commit", "committed"),
    *("before announce", "announced", "before fan-out", "after fan-out"),
)
"""On the way of a webhook from its write to the streams. The first four are in the writer's thread, the others on the loop."""


class Stops:
    def __init__(self, mark: str, point: str) -> None:
        self.mark = mark.encode()
        self._point = point
        self.armed = False

    def at(self, point: str) -> None:
        if self.armed and point == self._point:
            print("AT", point, flush=True)
            threading.Event().wait()


def wrap(stops: Stops) -> None:
    write, begin, commit, announce = Store.write, Store.begin, Store.commit, Store.announce
    dispatch = Tail._dispatch

    def marked(self: Store, action: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if action is deliveries.receive and self.name == COMPANY and stops.mark in args[1]:
            stops.armed = True
        return write(self, action, *args, **kwargs)

    def around(run: Callable[..., Any], before: str, after: str) -> Callable[..., Any]:
        def wrapped(self: Store, *args: Any) -> Any:
            if self.name == COMPANY:
                stops.at(before)
            value = run(self, *args)
            if self.name == COMPANY:
                stops.at(after)
            return value

        return wrapped

    async def dispatched(self: Tail, store: Store, facts: list[Recorded]) -> None:
        stops.at("before fan-out")
        await dispatch(self, store, facts)
        stops.at("after fan-out")

    Store.write = marked  # type: ignore[method-assign,assignment]
    Store.begin = around(begin, "before begin", "begun")  # type: ignore[method-assign]
    Store.commit = around(commit, "before commit", "committed")  # type: ignore[method-assign]
    Store.announce = around(announce, "before announce", "announced")  # type: ignore[method-assign]
    Tail._dispatch = dispatched  # type: ignore[method-assign]


def hub(folder: str, mark: str, point: str) -> int:
    """Fork; the child serves until it is killed."""
    child = os.fork()
    if child:
        print("PID", child, flush=True)
        return child
    wrap(Stops(mark, point))
    os._exit(main.main(["--data", folder, "--port", "0"]))


def listen() -> None:
    child = 0
    for kind in ("control", "company"):
        migrate._newest(kind)  # type: ignore[arg-type]  # known to every fork, as the imports are
    for line in sys.stdin:
        command, *args = line.rstrip("\n").split("\t")
        if command == "hub":
            child = hub(*args)
        elif command == "buried":
            os.waitpid(child, 0)
            print("BURIED", flush=True)


if __name__ == "__main__":
    assert threading.active_count() == 1, "a fork takes no other thread along"
    listen()
