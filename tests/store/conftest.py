"""Fixtures: the databases of the furnished floor, without a hub around them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from backend.access import companies
from backend.store.database import Database, Store
from backend.store.ids import Ids
from backend.store.journal import Recorded
from tests.world import Time


@dataclass
class Floor:
    """Open databases; `heard` is what each commit announced, in order."""

    database: Database
    time: Time
    demo: Store
    beta: Store
    heard: list[tuple[str, list[Recorded]]] = field(default_factory=list)

    def numbers(self, name: str = "demo") -> list[int]:
        return [f.number for store, facts in self.heard if store == name for f in facts]


@pytest.fixture
async def floor(folder: Path) -> AsyncIterator[Floor]:
    time = Time()
    time.forward(3600)  # after everything that the folder holds
    database = Database(folder, time, Ids(time))
    database.open()
    ids = {c.slug: c.id for c in database.control.read_now(companies.every_company)}
    floor = Floor(database, time, await database.company(ids["demo"]), await database.company(ids["beta"]))
    database.announce = lambda store, facts: floor.heard.append((store.name, facts))
    yield floor
    database.close()
