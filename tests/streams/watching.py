"""A client that keeps its list of leads by frames alone, in this process: a subscriber without a socket."""

from typing import Any

import orjson

from backend.access.scope import Viewer, people_of
from backend.leads import queries
from backend.leads.fields import shown
from backend.store.database import Store
from backend.store.journal import people_changed
from backend.store.statements import insert_into
from backend.store.tables.people import people
from backend.store.transactions import Rx, Tx
from backend.streams.fanout import Subscriber
from backend.streams.opening import catch_up
from tests.world import World, within

CONTROL = frozenset({"hello", "ready", "reset", "hb", "bye"})
Rows = dict[str, dict[str, Any]]


def snapshot(rx: Rx, viewer: Viewer) -> tuple[Rows, str]:
    """Lead id → the row as the list gives it, over all pages, and the cursor they were read at."""
    rows: Rows = {}
    after = None
    everybody = people_of(rx)
    while True:
        page = queries.leads_page(rx, viewer, queries.Filter(), limit=200, after=after)
        rows |= {str(lead.row.id): shown(lead.row, lead.shares, everybody, viewer.view) for lead in page.items}
        after = page.after
        if after is None:
            return rows, page.head.cursor


def parsed(raw: bytes) -> list[dict[str, Any]]:
    """Frames of whole blocks: {event, id, data}."""
    found = []
    for block in raw.decode().split("\n\n")[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        if "event" in fields:
            found.append({"event": fields["event"], "id": fields.get("id"), "data": orjson.loads(fields["data"])})
    return found


def number_of(identity: str) -> int:
    return int(identity.partition(".")[2])


class Watcher:
    """`rows` follow the stream. `frames` are all data frames ever applied, `said` all control frames."""

    def __init__(self, world: World, viewer: Viewer, store: Store | None = None, *, follows: bool = True) -> None:
        """`follows` False: only listen, the list is not kept."""
        self.world = world
        self.store = store or world.store
        self.viewer = viewer
        self.rows: Rows = {}
        self.floor = 0
        self.last = ""
        self.follows = follows
        self.stale = False
        self.frames: list[dict[str, Any]] = []
        self.said: list[dict[str, Any]] = []
        self.subscriber: Subscriber | None = None

    async def look(self) -> None:
        """Fetch the list; what the stream says up to its cursor is known by then."""
        self.viewer = await self.store.read(as_now, self.viewer)
        self.rows, cursor = await self.store.read(snapshot, self.viewer)
        self.floor = number_of(cursor)
        if self.subscriber is None:
            self.last = cursor
        self.stale = False

    async def open(self, cursor: str | None = None, **narrow: Any) -> "Watcher":
        """Connect at `cursor`, or where the stream was cut."""
        viewer = await self.store.read(as_now, self.viewer)
        self.subscriber = Subscriber(
            company=self.store.id, epoch=b"", viewer=viewer, wake=lambda: None, end=lambda: None, **narrow
        )
        self.world.hub.fanout.join(self.subscriber)
        await catch_up(self.world.hub.fanout, self.store, self.subscriber, cursor or self.last)
        self.take()
        return self

    def cut(self) -> None:
        """The connection breaks; what was queued and not taken is lost on the way."""
        if self.subscriber is not None:
            self.world.hub.fanout.leave(self.subscriber)
            self.subscriber.closing = True
            self.subscriber = None

    @property
    def closed(self) -> bool:
        return self.subscriber is not None and self.subscriber.closing

    def take(self) -> list[dict[str, Any]]:
        """Apply what is queued; the data frames among it."""
        subscriber = self.subscriber
        if subscriber is None:
            return []
        raw = b"".join(subscriber.queue)
        subscriber.queue.clear()
        subscriber.queued = 0
        found = parsed(raw)
        for frame in found:
            self._apply(frame)
        return [f for f in found if f["event"] not in CONTROL]

    def _apply(self, frame: dict[str, Any]) -> None:
        event, identity, data = frame["event"], frame["id"], frame["data"]
        if event in CONTROL:
            self.said.append(frame)
            self.stale = self.stale or event == "reset"
            self.last = identity or self.last
            return
        assert data["prev"] == self.last, f"{frame} does not follow {self.last}"
        assert number_of(identity) > number_of(self.last), f"{frame} comes after {self.last}"
        self.last = identity
        self.frames.append(frame)
        if number_of(identity) <= self.floor or self.stale or not self.follows:
            return
        lead = data.get("lead")
        if event == "lead.entered":
            self.rows[lead] = data["row"]
        elif event == "lead.left":
            self.rows.pop(lead, None)
        elif "set" in data:
            assert lead in self.rows, f"{frame} is about a lead that never entered"
            self.rows[lead] = {**self.rows[lead], **data["set"]}

    async def agrees(self) -> None:
        """What the frames made of the list is what a fresh look gives."""
        fresh, _ = await self.store.read(snapshot, await self.store.read(as_now, self.viewer))
        assert self.rows == fresh, differences(self.rows, fresh)

    def names(self) -> list[str]:
        return [f["event"] for f in self.frames]


def as_now(rx: Rx, viewer: Viewer) -> Viewer:
    person = people_of(rx).by_id.get(viewer.person_id or 0)
    return viewer if person is None else Viewer.of(person, people_of(rx), viewer.session_id)


def differences(kept: Rows, fresh: Rows) -> str:
    words = [f"only live: {sorted(kept.keys() - fresh.keys())}, only fresh: {sorted(fresh.keys() - kept.keys())}"]
    for lead in sorted(kept.keys() & fresh.keys()):
        for field in sorted(kept[lead].keys() | fresh[lead].keys()):
            live, true = kept[lead].get(field), fresh[lead].get(field)
            if live != true:
                words.append(f"{lead}.{field}: live {live!r}, fresh {true!r}")
    return "\n".join(words)


async def settled(world: World) -> None:
    """Until everything committed so far has been dispatched: whoever awaited a write, its facts are announced."""
    await within(world.hub.tail.drained())


def a_stranger(tx: Tx, like: int) -> int:
    """Somebody with a role that the tables do not know, as a newer version of the program could have left behind."""
    row = people_of(tx).by_id[like]._replace(id=tx.id(), username="stranger", name="Stranger", role="AUDITOR")
    tx.run(insert_into(people), **row._asdict())
    people_changed(tx)
    return row.id


async def everybody(world: World) -> dict[str, Viewer]:
    """A viewer of each of the fifteen, and one of an unknown role."""
    viewers = {name: await world.viewer(name) for name in world.people["demo"]}
    stranger = await world.store.write(a_stranger, world.person("sales1").id)
    there = await world.store.read(people_of)
    return {**viewers, "stranger": Viewer.of(there.by_id[stranger], there)}
