"""Moves what was committed from SQLite's write-ahead log into the database file, in a thread of its own.

Left to SQLite, the commit that fills the log pays for it with tens of milliseconds while everybody waits.
"""

import contextlib
import logging
import sqlite3
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

log = logging.getLogger(__name__)

SECONDS = 1.0
WORTH_BYTES = 4 * 1024 * 1024
"""A log smaller than this is left alone."""
LONG_PAGES = 4096
"""A log of more pages than this that never gets a quiet moment is begun again: written over, not cut, which is ten times dearer."""

PATIENCE_SECONDS = 0.05
"""How long it waits for a reader of old pages before it lets go of the writer and tries again a second later."""


class Checkpointer:
    def __init__(self, files: Callable[[], Iterable[Path]]) -> None:
        """`files` names the databases that are open just now."""
        self._files = files
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="checkpoints", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SECONDS):
            for path in self._files():
                try:
                    checkpoint(path)
                except sqlite3.Error:
                    log.exception("the log of %s could not be checkpointed", path.name)


def checkpoint(path: Path) -> None:
    """Copy the log into the file while others read and write; wait for them only when the log has grown too long."""
    wal = path.with_name(path.name + "-wal")
    size = wal.stat().st_size if wal.exists() else 0
    if size < WORTH_BYTES:
        return
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=PATIENCE_SECONDS)) as connection:
        connection.execute("PRAGMA synchronous=FULL")
        _, pages, _ = connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        if pages > LONG_PAGES:  # only what came meanwhile is left: the writer waits a few ms, not for all of it
            connection.execute("PRAGMA wal_checkpoint(RESTART)")
