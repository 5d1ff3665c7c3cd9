"""Small actions for the writer: one that records, one that waits, one that never ends."""

import asyncio
import threading
from typing import Any

from sqlalchemy import bindparam, select, text

from backend.access.scope import Viewer
from backend.errors import Conflict
from backend.events import SettingsChanged
from backend.store.database import Store
from backend.store.journal import facts_since, record
from backend.store.statements import prepare, upsert
from backend.store.tables.spine import journal, journal_audience, journal_body, settings
from backend.store.transactions import Rx, Tx
from tests.world import DEADLINE

MACHINE = Viewer.system("test")
_PUT = upsert(settings, put=("value",))
_VALUE = prepare(select(settings.c.value).where(settings.c.name == bindparam("name")))
FOREVER = "WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) "


def put(tx: Tx, name: str, value: str = "1", *, audience: dict[str, int] | None = None) -> str:
    """Write a row and record a fact."""
    tx.run(_PUT, name=name, value=value)
    record(tx, MACHINE, SettingsChanged(changes={name: [None, value]}), audience=audience)
    return name


def put_and_refuse(tx: Tx, name: str) -> None:
    """Write and record, and only then say no: as a careless action would."""
    put(tx, name, audience={f"u:{name}": 2})
    raise Conflict("no")


def never_ends(tx: Tx) -> Any:
    return tx.value(text(FOREVER + "SELECT count(*) FROM r"))


def never_stops_writing(tx: Tx) -> Any:
    return tx.run(text(f"INSERT INTO settings (name, value) {FOREVER} SELECT 'row' || n, 'x' FROM r"))


def value_of(rx: Rx, name: str) -> str | None:
    return rx.value(_VALUE, name=name)  # type: ignore[no-any-return]


def counted(rx: Rx) -> dict[str, int]:
    """Rows of the journal's tables."""
    return {t.name: len(rx.all(select(t))) for t in (journal, journal_body, journal_audience)}


def recorded_names(rx: Rx) -> list[str]:
    """The names that `put` recorded, in the journal's order."""
    found = [f.fact for f in facts_since(rx, 0, 1 << 60, most=100_000)]
    return [next(iter(f.changes)) for f in found if isinstance(f, SettingsChanged) and "inbound" not in f.changes]


class Gate:
    """Holds the writer inside an action until it is opened."""

    def __init__(self) -> None:
        self.entered = threading.Event()
        self._open = threading.Event()

    def action(self, tx: Tx) -> None:
        self.entered.set()
        assert self._open.wait(DEADLINE)

    def open(self) -> None:
        self._open.set()

    async def closed_on(self, store: Store) -> "asyncio.Future[None]":
        """The writer is inside the gate from here on; the future of the action that holds it."""
        held = asyncio.ensure_future(store.write(self.action))
        assert await asyncio.to_thread(self.entered.wait, DEADLINE)
        return held
