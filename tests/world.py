"""A small floor to test on: two companies with the same people under the same ids, a driven clock, clients per role."""

import asyncio
import itertools
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import httpx
import orjson
from fastapi import FastAPI

from backend.access import companies, people, signin
from backend.access.scope import Person, Viewer, people_of
from backend.app import create_app
from backend.channels.whatsapp import whatsapp
from backend.hub import Hub
from backend.inbox import deliveries
from backend.leads import actions
from backend.leads.changes import Done
from backend.settings import Settings
from backend.store.database import Store
from backend.store.ids import SECOND, Ids

PASSWORD = "correct horse battery staple"
NAMES = (
    *("admin", "manager1", "manager2", "sales1", "sales2", "sales3", "cosales1", "warrior1", "warrior2", "warrior3"),
    *("partner1", "support1", "guest1", "integration1", "dev1"),
)
ACCOUNTS = {"demo": "880077665544332", "beta": "880077665544999"}
DEADLINE = 20.0
"""Seconds that any wait of a test may take: a test that hangs is a red test."""


class Time:
    """A clock that moves when told, and by a microsecond at each look, so that no two moments are the same."""

    def __init__(self, start: int = 1_795_000_000 * SECOND) -> None:
        self.now = start

    def __call__(self) -> int:
        self.now += 1
        return self.now

    def forward(self, seconds: float) -> None:
        self.now += int(seconds * SECOND)


class World:
    """An open hub. `stores["demo"]`, `person("sales1")`, `viewer("sales1")`, `client("sales1")`."""

    def __init__(self, hub: Hub, app: FastAPI, time: Time) -> None:
        self.hub = hub
        self.app = app
        self.time = time
        self.stores: dict[str, Store] = {}
        self.people: dict[str, dict[str, Person]] = {}
        self._clients: list[httpx.AsyncClient] = []

    @property
    def store(self) -> Store:
        return self.stores["demo"]

    def person(self, name: str, company: str = "demo") -> Person:
        return self.people[company][name]

    async def viewer(self, name: str, company: str = "demo") -> Viewer:
        """The person with the rights that he has now."""
        everybody = await self.stores[company].read(people_of)
        return Viewer.of(everybody.by_id[self.people[company][name].id], everybody)

    async def session(self, name: str, company: str = "demo", platform: str = "api") -> signin.Session:
        return await self.stores[company].write(
            signin.start_session, self.person(name, company).id, platform, refresh_hash=None, end="oldest"
        )

    async def token(self, name: str, company: str = "demo", *, life: int = 10**15) -> str:
        """An access token that lives as long as the wall clock needs; the driven clock stands somewhere else."""
        session = await self.session(name, company)
        return self.hub.tokens.issue(self.stores[company].id, session, self.hub.clock(), life)

    async def client(self, name: str | None = None, company: str = "demo") -> httpx.AsyncClient:
        """An HTTP client on the application itself, signed in as somebody (None: nobody)."""
        headers = {"Authorization": f"Bearer {await self.token(name, company)}"} if name else {}
        client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app, raise_app_exceptions=False), base_url="http://hub", headers=headers
        )
        self._clients.append(client)
        return client

    async def lead(self, by: str = "admin", company: str = "demo", **fields: Any) -> Done:
        """Captured by somebody, within his rules."""
        given = {"firm_name": "Acme", **fields}
        return await self.stores[company].write(actions.capture, await self.viewer(by, company), given)

    async def owned(self, owner: str = "sales1", company: str = "demo", **fields: Any) -> Done:
        """A lead of a salesperson."""
        return await self.lead(owner, company, **fields)

    async def inbound(self, raw: bytes, company: str = "demo") -> Any:
        """The units of a WhatsApp body, delivered to a company."""
        units = deliveries.number(whatsapp.read(raw, self.hub.clock()))
        return await self.stores[company].write(deliveries.receive, "whatsapp", raw, units)

    async def close(self) -> None:
        for client in self._clients:
            await client.aclose()


@asynccontextmanager
async def a_world(folder: Path, **settings: Any) -> AsyncIterator[World]:
    """A hub with the companies demo and beta, whose people have the same ids in both."""
    time = Time()
    hub = Hub(Settings(data=folder, bcrypt_rounds=4, secret_key="test " * 8, **settings), time)
    app = create_app(hub, screens=False)
    async with app.router.lifespan_context(app):
        world = World(hub, app, time)
        if not await hub.companies():
            for slug in ("demo", "beta"):
                await _furnish(world, slug)
        else:
            await _find(world)
        yield world
        await world.close()


async def _furnish(world: World, slug: str) -> None:
    hub = world.hub
    store = world.stores[slug] = await hub.create_company(slug, slug.capitalize())
    start = itertools.count(1_790_000_000_000_000, 1000)
    store.ids = Ids(lambda: next(start))  # the same ids in both companies
    machine = Viewer.system("setup")
    partner = await store.write(people.add_partner_company, "Partner One")
    everybody = world.people[slug] = {}
    password = hub.passwords.hash_now(PASSWORD)

    async def add(name: str, role: str, **place: Any) -> None:
        given = {"username": name, "name": f"{name.capitalize()} of {slug}", "role": role, **place}
        everybody[name] = await hub.add_person(store, machine, given, password)

    await add("admin", "ADMIN")
    await add("manager1", "MANAGER")
    await add("manager2", "MANAGER")
    for name, manager in (("sales1", "manager1"), ("sales2", "manager1"), ("sales3", "manager2")):
        await add(name, "SALESPERSON", manager_id=everybody[manager].id)
    await add("cosales1", "COSALES")
    for name, sales, sees in (
        ("warrior1", "sales1", "Own"),
        ("warrior2", "sales2", "Own"),
        ("warrior3", "sales2", "All"),
    ):
        place = {"salesperson_id": everybody[sales].id, "partner_company_id": partner, "data_visibility": sees}
        await add(name, "WARRIOR", **place)
    await add("partner1", "PARTNER", partner_company_id=partner)
    for name, role in (
        ("support1", "CUSTOMER_SUCCESS"),
        ("guest1", "GUEST"),
        ("integration1", "INTEGRATION"),
        ("dev1", "DEV"),
    ):
        await add(name, role)
    await store.write(companies.change_settings, machine, inbound="fewest" if slug == "demo" else "pool")
    await hub.database.control.write(companies.route_channel, "whatsapp", ACCOUNTS[slug], store.id, None)
    await hub.reread_routes()


async def _find(world: World) -> None:
    for company in await world.hub.companies():
        store = world.stores[company.slug] = await world.hub.database.company(company.id)
        everybody = await store.read(people_of)
        world.people[company.slug] = {p.username: p for p in everybody.by_id.values()}


class Stream:
    """A client of `/api/v1/stream` on the application itself: no network, no buffering in between."""

    def __init__(self, app: FastAPI, token: str, query: str = "", last_event_id: str | None = None) -> None:
        headers = [(b"authorization", f"Bearer {token}".encode()), (b"host", b"hub")]
        if last_event_id is not None:
            headers.append((b"last-event-id", last_event_id.encode()))
        self._scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "GET",
            "scheme": "http",
            "path": "/api/v1/stream",
            "raw_path": b"/api/v1/stream",
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers,
            "client": ("127.0.0.1", 1),
            "server": ("hub", 80),
        }
        self.status: int | None = None
        self.events: list[dict[str, Any]] = []
        self.raw = b""
        self._app = app
        self._parsed = 0
        self._arrived = asyncio.Event()
        self._gone = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> "Stream":
        self._task = asyncio.create_task(self._app(self._scope, self._receive, self._send))  # type: ignore[arg-type]
        await self.until(lambda: self.status is not None)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()

    async def cut(self) -> None:
        """The client goes away."""
        self._gone.set()
        if self._task:
            await asyncio.wait_for(asyncio.gather(self._task, return_exceptions=True), DEADLINE)

    async def _receive(self) -> dict[str, Any]:
        await self._gone.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
        else:
            self.raw += message.get("body", b"")
            self._parse()
        self._arrived.set()

    def _parse(self) -> None:
        while (end := self.raw.find(b"\n\n", self._parsed)) >= 0:
            block = self.raw[self._parsed : end].decode()
            self._parsed = end + 2
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            if "event" in fields:
                data = orjson.loads(fields["data"])
                self.events.append({"event": fields["event"], "id": fields.get("id"), "data": data})

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait for a condition that new bytes can make true, not longer than the deadline."""

        async def wait() -> None:
            while not condition():
                self._arrived.clear()
                await self._arrived.wait()

        await asyncio.wait_for(wait(), DEADLINE)

    async def ready(self) -> "Stream":
        await self.until(lambda: any(e["event"] == "ready" for e in self.events))
        return self

    @property
    def ended(self) -> bool:
        return self._task is not None and self._task.done()

    def frames(self) -> list[dict[str, Any]]:
        """Everything but control frames."""
        return [e for e in self.events if e["event"] not in ("hello", "ready", "hb", "reset", "bye")]


async def within(wait: Awaitable[Any], seconds: float = DEADLINE) -> Any:
    return await asyncio.wait_for(wait, seconds)


def contents(store: Store) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every table, but for the seal that the clock writes: what a refusal must leave as it was."""
    with closing(sqlite3.connect(store.path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {t: list(connection.execute(f"SELECT * FROM {t}")) for t in tables if t != "journal_seal"}
