"""An open transaction: `Rx` reads one snapshot, `Tx` also writes and carries what the transaction owes until its commit.

Actions are plain synchronous functions of a `Tx`; queries of an `Rx`. Neither commits, waits or touches the network.
"""

import sqlite3
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self, TypeVar

from sqlalchemy.sql.expression import Executable

from .statements import Statement

if TYPE_CHECKING:
    from .database import Store

Row = tuple[Any, ...]
StoreFailed = sqlite3.OperationalError
"""The store's own trouble (interrupted, disk full, locked): never an action's to handle, always the writer's."""
T = TypeVar("T")


class Rx:
    """One snapshot of one database. `now` is the moment it was opened, in microseconds."""

    __slots__ = ("_connection", "now", "store")

    def __init__(self, store: "Store", connection: sqlite3.Connection, now: int) -> None:
        self.store = store
        self.now = now
        self._connection = connection

    def all(self, statement: Statement | Executable, **params: Any) -> list[Row]:
        """Every row. A Core statement may be given as it is; what runs often is prepared."""
        prepared = statement if isinstance(statement, Statement) else Statement(statement)
        return self._connection.execute(prepared.text, prepared.bind(params)).fetchall()

    def one(self, statement: Statement | Executable, **params: Any) -> Row | None:
        prepared = statement if isinstance(statement, Statement) else Statement(statement)
        row: Row | None = self._connection.execute(prepared.text, prepared.bind(params)).fetchone()
        return row

    def value(self, statement: Statement | Executable, **params: Any) -> Any:
        """The first column of the first row, or None."""
        row = self.one(statement, **params)
        return row[0] if row else None

    def cached(self, name: str, version: int, load: Callable[[Self], T]) -> T:
        """`load(self)`, remembered by this store as long as `version` stays the same."""
        kept = self.store.cache.get(name)
        if kept is not None and kept[0] == version:
            return kept[1]  # type: ignore[no-any-return]
        loaded = load(self)
        kept = self.store.cache.get(name)
        if kept is None or kept[0] < version:  # a slow reader of an old snapshot must not bring the past back
            self.store.cache[name] = version, loaded
        return loaded


class Owed(Protocol):
    """Something that a transaction writes once, at its commit, however many actions it carries.

    `mark()` and `reset(mark)` bracket an action: a refused action owes nothing. `flush()` writes.
    """

    order: int

    def __init__(self, tx: "Tx") -> None: ...
    def mark(self) -> Any: ...
    def reset(self, mark: Any) -> None: ...
    def flush(self) -> None: ...


OwedT = TypeVar("OwedT", bound=Owed)


class Tx(Rx):
    """A transaction that writes. `now` is the moment the current action began; `id()` makes an id."""

    __slots__ = ("_local", "_owed", "_savepoints", "people_changed", "people_version")

    def __init__(self, store: "Store", connection: sqlite3.Connection, now: int) -> None:
        super().__init__(store, connection, now)
        self._owed: dict[type, Any] = {}
        self._local: dict[str, tuple[int, Any]] = {}
        self._savepoints: list[str | None] = []
        self.people_version: int | None = None
        """As read from `head` by this transaction; None: not read, or changed since."""
        self.people_changed = False

    def id(self) -> int:
        return self.store.ids()

    def run(self, statement: Statement | Executable, **params: Any) -> int:
        """Execute; the number of rows it touched."""
        self._save()
        prepared = statement if isinstance(statement, Statement) else Statement(statement)
        return self._connection.execute(prepared.text, prepared.bind(params)).rowcount

    def many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute for each of `rows`; a statement with literals of its own is not for this."""
        self._save()
        self._connection.executemany(statement.text, rows)

    def later(self, statement: Statement, **row: Any) -> None:
        """Execute at the commit, together with every other row of this statement: for inserts that nobody reads before."""
        self.owes(Appended).rows.append((statement, row))

    def owes(self, kind: type[OwedT]) -> OwedT:
        """The one ledger of this kind that the transaction settles at its commit."""
        ledger = self._owed.get(kind)
        if ledger is None:
            ledger = self._owed[kind] = kind(self)
        return ledger

    @property
    def lost(self) -> bool:
        """SQLite has undone all of it by itself: nothing more may be written here."""
        return not self._connection.in_transaction

    def attempt(self, action: Callable[..., T], *args: Any, **kwargs: Any) -> T:
        """Run `action` so that, if it raises, nothing of it remains, neither written nor owed.

        Its savepoint is made at its first write: most refusals come before any, and need none.
        """
        marks = [(ledger, ledger.mark()) for ledger in self._owed.values()]
        known = set(self._owed)
        self._savepoints.append(None)
        try:
            value = action(self, *args, **kwargs)
        except BaseException:
            savepoint = self._savepoints.pop()
            if self.lost:  # with its savepoints; another statement would begin a transaction of its own
                raise
            if savepoint is not None:
                self._connection.execute(f"ROLLBACK TO {savepoint}")
                self._connection.execute(f"RELEASE {savepoint}")
            for ledger, mark in marks:
                ledger.reset(mark)
            for kind in set(self._owed) - known:
                del self._owed[kind]
            self._local.clear()
            self.people_version = None
            raise
        savepoint = self._savepoints.pop()
        if savepoint is not None:
            if self._savepoints and self._savepoints[-1] is None:
                self._savepoints[-1] = savepoint  # nothing was written around it: it serves the outer action too
            else:
                self._connection.execute(f"RELEASE {savepoint}")
        return value

    def _save(self) -> None:
        if self._savepoints and self._savepoints[-1] is None:
            self._savepoints[-1] = f"action{len(self._savepoints)}"
            self._connection.execute(f"SAVEPOINT {self._savepoints[-1]}")

    def flush(self) -> None:
        """Write what is owed, in the ledgers' order (the journal's numbers come late, so that `head` is held briefly)."""
        for ledger in sorted(self._owed.values(), key=lambda ledger: ledger.order):
            ledger.flush()

    def learned(self) -> dict[str, tuple[int, Any]]:
        """What the store may remember now that this has committed."""
        return self._local

    def cached(self, name: str, version: int, load: Callable[[Self], T]) -> T:
        # What was read inside a transaction may be rolled back, so it is remembered for the transaction only.
        kept = self._local.get(name) or self.store.cache.get(name)
        if kept is not None and kept[0] == version:
            return kept[1]  # type: ignore[no-any-return]
        loaded = load(self)
        self._local[name] = version, loaded
        return loaded


class Appended:
    """Plain inserts, gathered and written by one executemany each."""

    order = 50

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.rows: list[tuple[Statement, dict[str, Any]]] = []

    def mark(self) -> int:
        return len(self.rows)

    def reset(self, mark: int) -> None:
        del self.rows[mark:]

    def flush(self) -> None:
        gathered: dict[Statement, list[dict[str, Any]]] = {}
        for statement, row in self.rows:
            gathered.setdefault(statement, []).append(row)
        for statement, rows in gathered.items():
            self.tx.many(statement, rows)
