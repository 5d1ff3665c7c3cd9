"""The floor that is measured on: one company, its people, customers who wrote before. Built once, copied for each run."""

import asyncio
import itertools
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from random import Random

from backend.access import companies, people
from backend.access.scope import Viewer
from backend.app import create_app
from backend.channels import simulate
from backend.channels.whatsapp import whatsapp
from backend.hub import Hub
from backend.inbox import deliveries
from backend.leads import reach
from backend.settings import Settings
from backend.store import journal
from backend.store.database import Database, Store
from backend.store.ids import Ids, wall_clock

from .figures import Wrong

SLUG, ACCOUNT, KEY = "bench", "880077665544332", "bench " * 8
CUSTOMERS = 5_000
"""How many are known leads when a run begins."""
STAFF = {"ADMIN": 20, "MANAGER": 10, "COSALES": 10, "SALESPERSON": 60}


def settings(folder: Path, port: int = 0) -> Settings:
    return Settings(data=folder, secret_key=KEY, bcrypt_rounds=4, port=port)


@asynccontextmanager
async def open_hub(folder: Path) -> AsyncIterator[tuple[Hub, Store]]:
    """The whole hub in this process, nothing turned off: tail, keeper and the clock's ticks run as they do when it serves."""
    hub = Hub(settings(folder))
    app = create_app(hub)
    async with app.router.lifespan_context(app):
        store = await hub.company(SLUG)
        yield hub, store or await hub.create_company(SLUG, "Bench")


@asynccontextmanager
async def open_database(folder: Path) -> AsyncIterator[Store]:
    """The store alone, without the clock and the tail."""
    database = Database(folder, wall_clock, Ids(wall_clock))
    database.open()
    (company,) = await database.control.read(companies.every_company)
    yield await database.company(company.id)
    database.close()


async def furnish(folder: Path) -> None:
    """A company that routes new leads to whoever has the fewest, its staff, its customers."""
    async with open_hub(folder) as (hub, store):
        machine = Viewer.system("bench")
        managers: list[int] = []
        for role, count in STAFF.items():
            for n in range(count):
                manager = managers[n % len(managers)] if role == "SALESPERSON" else None
                given = {"username": f"{role.lower()}{n}", "name": f"{role.title()} {n}", "role": role}
                person = await store.write(people.add, machine, {**given, "manager_id": manager})
                managers += [person.id] if role == "MANAGER" else []
        await store.write(lambda tx: companies.change_settings(tx, machine, inbound="fewest"))
        await hub.database.control.write(companies.route_channel, "whatsapp", ACCOUNT, store.id, None)
        rng = Random("customers")  # no run's seed: its messages must not be the runs' duplicates
        hellos = (body(n, rng) for n in range(CUSTOMERS))
        while some := list(itertools.islice(hellos, 64)):
            await asyncio.gather(*(store.write(deliveries.receive, *read(raw)) for raw in some))


def copy(template: Path, to: Path) -> Path:
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(template, to))


# Messages ------------------------------------------------------------------------------------------------------------------


def body(customer: int, rng: Random) -> bytes:
    """A webhook with one message of a customer; the same customer has the same number (in an area that is not given out)."""
    name = f"{simulate.FIRST[customer % 12]} {chr(65 + customer % 26)}{customer:x}"
    text = rng.choice((*simulate.HELLOS, *simulate.ASKS, *simulate.THANKS))
    return simulate.text_message(ACCOUNT, f"1555{customer:07}", name, text, wall_clock(), rng)


def bodies(count: int, seed: int) -> list[bytes]:
    """Half of customers who never wrote before, half of known ones; no two messages have the same id."""
    rng = Random(seed)
    return [body(CUSTOMERS + n if n % 2 else rng.randrange(CUSTOMERS), rng) for n in range(count)]


def read(raw: bytes) -> tuple[str, bytes, list[deliveries.Numbered]]:
    """What the webhook's route gives to `deliveries.receive`."""
    return "whatsapp", raw, deliveries.number(whatsapp.read(raw, wall_clock()))


# Did it do its work? -------------------------------------------------------------------------------------------------------


def check(folder: Path, sent: int) -> None:
    """Raise Wrong unless exactly `sent` messages came to the customers' first ones, each whole. A connection of its own."""
    path = folder / "companies" / f"{SLUG}.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        messages, ids = db.execute("SELECT count(*), count(DISTINCT provider_id) FROM messages").fetchone()
        units = dict(db.execute("SELECT state, count(*) FROM units GROUP BY state"))
        raw = db.execute("SELECT count(*) FROM deliveries").fetchone()[0]
    if not messages == ids == raw == CUSTOMERS + sent or units != {"processed": messages}:
        raise Wrong(f"sent {CUSTOMERS} + {sent}; {raw} deliveries, {messages} messages, {ids} ids, units {units}")
    store = Store(SLUG, path, Database(folder, wall_clock, Ids(wall_clock)))
    found = store.read_now(journal.check) + store.read_now(reach.check)
    store.close()
    if found:
        raise Wrong(f"{len(found)} faults after the run; first: {found[0]}")
