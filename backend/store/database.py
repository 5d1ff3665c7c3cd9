"""The databases of a deployment: one for control, one per company. `write()` and `read()` are the only ways in.

await company.write(actions.move, viewer, lead_id, to, version=7)     # one action, one transaction
await company.read(queries.board, viewer)                             # one query, one snapshot
"""

import asyncio
import contextlib
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import bindparam, select

from ..errors import NotFound, Unavailable
from . import migrate
from .checkpoints import Checkpointer
from .ids import Clock, Ids
from .journal import Journal, Recorded
from .statements import prepare
from .tables.control import companies
from .transactions import Rx, Tx
from .writer import Writer

P = ParamSpec("P")
T = TypeVar("T")

READERS = 2
READ_SECONDS = 5.0
OPEN_COMPANIES = 64

Announce = Callable[["Store", list[Recorded]], None]


class Store:
    """One SQLite file: the writer's connection, a few readers, what they remember of it."""

    def __init__(self, name: str, path: Path, database: "Database", id: int = 0) -> None:
        self.id = id
        self.name = name
        self.path = path
        self.clock = database.clock
        self.ids = database.ids
        self.cache: dict[str, tuple[int, Any]] = {}
        self.pins = 0
        """How many streams, screens and unfinished calls need it open. Changed on the event loop only."""
        self._database = database
        self._writing = connect(path)
        self._readers: list[sqlite3.Connection] = []

    def write(self, action: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """Run one action in its own transaction; its value once that is on disk. Raises what the action raises."""
        return self._database.writer.submit(self, action, *args, bulk=False, **kwargs)  # type: ignore[no-any-return]

    def write_bulk(self, action: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> Awaitable[T]:
        """As `write`, behind everything that a person or a provider waits for."""
        return self._database.writer.submit(self, action, *args, bulk=True, **kwargs)  # type: ignore[no-any-return]

    async def read(self, query: Callable[Concatenate[Rx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run one query on one snapshot, off the event loop."""
        loop = asyncio.get_running_loop()
        self.pins += 1
        try:
            return await loop.run_in_executor(
                self._database.readers, lambda: self._query(READ_SECONDS, lambda rx: query(rx, *args, **kwargs))
            )
        finally:
            self.pins -= 1

    def read_now(self, query: Callable[Concatenate[Rx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """As `read`, in this thread and however long it takes. For the command line and tests; it blocks."""
        return self._query(None, lambda rx: query(rx, *args, **kwargs))

    def _query(self, seconds: float | None, query: Callable[[Rx], T]) -> T:
        with self._reader(seconds) as connection:
            try:
                return query(Rx(self, connection, self.clock()))
            except sqlite3.OperationalError as error:
                raise Unavailable(f"The query could not be answered: {error}") from error

    @contextlib.contextmanager
    def _reader(self, seconds: float | None) -> Iterator[sqlite3.Connection]:
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = connect(self.path, reading=True)
        until = time.monotonic() + seconds if seconds else float("inf")
        connection.set_progress_handler(lambda: time.monotonic() > until, 100_000)
        connection.execute("BEGIN")
        try:
            yield connection
        finally:
            connection.execute("ROLLBACK")
            if len(self._readers) < READERS:
                self._readers.append(connection)
            else:
                connection.close()

    # What the writer thread calls

    def begin(self) -> Tx:
        self._writing.execute("BEGIN IMMEDIATE")
        return Tx(self, self._writing, self.clock())

    def commit(self, tx: Tx) -> list[Recorded]:
        self._writing.execute("COMMIT")
        if tx.people_changed:
            self.cache.clear()
        self.cache.update(tx.learned())
        return tx.owes(Journal).facts

    def rollback(self) -> None:
        self.cache.clear()
        with contextlib.suppress(sqlite3.Error):
            if self._writing.in_transaction:
                self._writing.execute("ROLLBACK")

    def interrupt(self) -> None:
        self._writing.interrupt()

    def announce(self, facts: list[Recorded]) -> None:
        if facts:
            self._database.announce(self, facts)

    def close(self) -> None:
        for connection in [*self._readers, self._writing]:
            connection.close()
        self._readers.clear()


class Database:
    """All the databases under one folder. `announce` hears of every commit, on the event loop, in order per store."""

    def __init__(self, folder: Path, clock: Clock, ids: Ids) -> None:
        self.folder = folder
        self.clock = clock
        self.ids = ids
        self.writer = Writer()
        self.checkpointer = Checkpointer(lambda: [s.path for s in self.opened()])
        self.readers = ThreadPoolExecutor(READERS, "reader")
        self.announce: Announce = lambda store, facts: None
        self._open: OrderedDict[int, Store] = OrderedDict()
        self._opening: dict[int, asyncio.Lock] = {}
        self.control: Store

    def open(self) -> None:
        """Migrate what is older, refuse what is newer, open control. Blocks; raises `migrate.SchemaRefused`."""
        (self.folder / "companies").mkdir(parents=True, exist_ok=True)
        migrate.upgrade("control", self.folder / "control.db")
        for path in sorted((self.folder / "companies").glob("*.db")):
            migrate.upgrade("company", path)
        self.control = Store("control", self.folder / "control.db", self)
        self.writer.start()
        self.checkpointer.start()

    def close(self) -> None:
        """Finish what is queued, then close every file. Blocks."""
        self.writer.stop()
        self.checkpointer.stop()
        self.readers.shutdown()
        for store in [*self._open.values(), self.control]:
            store.close()

    def company_file(self, slug: str) -> Path:
        return self.folder / "companies" / f"{slug}.db"

    async def company(self, company_id: int) -> Store:
        """The company's store, opened when needed. Raises NotFound for an unknown or suspended one."""
        store = self._open.get(company_id)
        if store is not None:
            self._open.move_to_end(company_id)
            return store
        async with self._opening.setdefault(company_id, asyncio.Lock()):
            if company_id not in self._open:
                slug, _ = await self.control.read(_company, company_id)
                if not self.company_file(slug).exists():  # opening would make an empty one in its place
                    raise Unavailable(f"The database of {slug} is missing; restore it from a backup.")
                self._open[company_id] = Store(slug, self.company_file(slug), self, company_id)
                self._close_idle()
            return self._open[company_id]

    def opened(self) -> list[Store]:
        return [self.control, *self._open.values()]

    def _close_idle(self) -> None:
        """Close what was used least recently and nobody needs; never the newest, which is about to be used."""
        for company_id, store in list(self._open.items())[:-1]:
            if len(self._open) <= OPEN_COMPANIES:
                return
            if not store.pins:
                del self._open[company_id]
                store.close()


_COMPANY = prepare(select(companies.c.slug, companies.c.state).where(companies.c.id == bindparam("id")))


def _company(rx: Rx, company_id: int) -> tuple[str, str]:
    row = rx.one(_COMPANY, id=company_id)
    if row is None or row[1] != "active":
        raise NotFound("There is no such company.")
    return row[0], row[1]


def connect(path: Path, *, reading: bool = False) -> sqlite3.Connection:
    """A connection as the hub wants it: WAL, synchronous FULL, transactions begun by hand."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512, timeout=5)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-16000")
    connection.execute("PRAGMA wal_autocheckpoint=0")  # `Checkpointer` does it, off the writer's thread
    if reading:
        connection.execute("PRAGMA query_only=ON")
    return connection
