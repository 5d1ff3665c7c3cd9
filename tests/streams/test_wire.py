"""The bytes of a stream: the format to the letter, slow readers, heartbeats, ends, and nothing left behind."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import orjson
import pytest

from backend.access.roles import Role
from backend.access.scope import People, Person
from backend.events import ActivityLogged, LeadEdited, Noticed
from backend.leads import actions
from backend.leads.fields import LeadRow
from backend.store.journal import IS, WAS, Recorded, read_head
from backend.streams.fanout import MOST_QUEUED, Subscriber
from backend.streams.frames import Encoder, Room, control
from backend.streams.keeper import HEARTBEAT
from backend.streams.sse import WATERMARK, SSEStream
from tests.streams.watching import settled
from tests.world import DEADLINE, Stream, World, within

GOLDEN = Path(__file__).parent.parent / "samples/streams/frames.txt"


# A parser of event streams as WHATWG says it: fed byte by byte, it must not care where the bytes were cut -----------------


class Parser:
    """https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream"""

    def __init__(self) -> None:
        self.events: list[tuple[str, str, str]] = []
        self.retry: int | None = None
        self.last_id = ""
        self._bytes = b""
        self._name, self._data, self._had_cr = "", [], False

    def feed(self, chunk: bytes) -> None:
        self._bytes += chunk
        while (line := self._line()) is not None:
            self._take(line.decode())

    def _line(self) -> bytes | None:
        if self._had_cr and self._bytes.startswith(b"\n"):
            self._bytes = self._bytes[1:]
        ends = [at for at in (self._bytes.find(b"\n"), self._bytes.find(b"\r")) if at >= 0]
        if not ends:
            return None
        line, self._had_cr = self._bytes[: min(ends)], self._bytes[min(ends) : min(ends) + 1] == b"\r"
        self._bytes = self._bytes[min(ends) + 1 :]
        return line

    def _take(self, line: str) -> None:
        if not line:
            if self._data:
                self.events.append((self._name or "message", self.last_id, "\n".join(self._data)))
            self._name, self._data = "", []
            return
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._name = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isdigit():
            self.retry = int(value)


def parsed_at_every_cut(raw: bytes) -> Iterator[Parser]:
    for cut in range(len(raw) + 1):
        parser = Parser()
        parser.feed(raw[:cut])
        parser.feed(raw[cut:])
        yield parser


CONTROL_LAST = ["ready", "reset", "hb", "bye"]
HARD = "line\nfeed\r\r\n, emoji 👩‍👩‍👧, separators \u2028\u2029, \0 and data: x\n\nevent: forged"


# One frame of each kind ----------------------------------------------------------------------------------------------------

ASHA = Person(5, 1, "asha", "Asha", None, Role.SALESPERSON, "active", None, None, None, "Own", None, 0)
PEOPLE = People(by_id={5: ASHA, 9: ASHA._replace(id=9, name="Ravi", role=Role.WARRIOR, salesperson_id=5)})
AT = 1_795_216_204_512_345
ROW = LeadRow(
    **{
        **dict.fromkeys(LeadRow._fields),
        **{"id": 91, "version": 12, "status": "demo", "status_at": AT, "rank": -AT, "name": HARD, "firm_name": "Acme"},
        **{"source": "WhatsApp", "currency": "EUR", "value": 180050, "salesperson_id": 5, "warrior_id": 9, "unread": 1},
        **{"created_at": AT, "created_via": "WhatsApp", "updated_at": AT, "updated_by": 5, "phone": "+447700900142"},
    }
)


def one_of_each() -> bytes:
    edited = LeadEdited(changes={"city": [None, HARD], "value": [None, 180050], "phone": [None, "+447700900142"]})
    called = ActivityLogged(activity="call", text=HARD, minutes=4, happened_at=AT, changes={"unread": [1, 0]})
    noticed = Noticed(person=5, about="lead.assigned", text="Asha gave you Acme")
    frames = []
    for number, (fact, side) in enumerate(
        ((edited, WAS | IS), (edited, IS), (edited, WAS), (called, WAS | IS), (noticed, IS)), start=101
    ):
        recorded = Recorded(fact, AT, 5, None, 91, 12, side, {"sp:5": side}, number=number)
        frame = Encoder(recorded, PEOPLE, lambda _: (ROW, ((7, "share"),))).frame(Room("sp:5", "standard"))
        assert frame is not None
        frames.append(frame.sse(b"9f2c41aa", b"9f2c41aa.%d" % (number - 1)))
    hello = {"v": 1, "mode": "resume", "hb": 15, "exp": 1795217396}
    return b"".join(
        [
            b"retry: 1500\n\n",
            control("hello", hello, b"9f2c41aa.100"),
            *frames,
            control("ready", {"v": 1, "replayed": 3}, b"9f2c41aa.105"),
            control("reset", {"v": 1, "reason": "gap"}, b"9f2c41aa.108"),
            control("hb", {"t": 1795216804512}, b"9f2c41aa.108"),
            control("bye", {"v": 1, "reason": "rotate", "retry_ms": 1500, "reconnect": True}),
        ]
    )


def test_the_frames_are_the_golden_ones() -> None:
    """Invariant 29."""
    assert one_of_each().decode() == GOLDEN.read_bytes().decode()


def test_a_whatwg_parser_reads_the_same_wherever_the_bytes_are_cut() -> None:
    """Invariant 29: one event is one block; nothing that somebody typed ends a line or forges an event."""
    raw = one_of_each()
    assert b"\r" not in raw and b"\0" not in raw
    names = ["hello", "lead.updated", "lead.entered", "lead.left", "timeline.added", "notice", *CONTROL_LAST]
    for parser in parsed_at_every_cut(raw):
        assert [name for name, _, _ in parser.events] == names
        assert parser.retry == 1500 and parser.last_id == "9f2c41aa.108"
    data = [orjson.loads(d) for _, _, d in parser.events]
    assert data[1]["set"]["city"] == data[2]["row"]["name"] == data[4]["item"]["text"] == HARD
    assert set(data[1]) == {"v", "prev", "lead", "version", "at", "by", "set"}
    assert set(data[2]) == {"v", "prev", "lead", "version", "at", "by", "row"}
    assert set(data[3]) == {"v", "prev", "lead", "version"}
    by_crlf = Parser()
    for byte in raw.replace(b"\n", b"\r\n"):
        by_crlf.feed(bytes([byte]))
    assert by_crlf.events == parser.events


# The response --------------------------------------------------------------------------------------------------------------


async def test_a_stream_begins_as_it_is_written(world: World) -> None:
    """Status, headers, `retry` first, then hello and ready, each with the cursor."""
    started: list[Any] = []
    stream = Stream(world.app, await world.token("sales1"))
    send = stream._send

    async def noted(message: Any) -> None:
        started.append(message) if message["type"] == "http.response.start" else None
        await send(message)

    stream._send = noted  # type: ignore[method-assign]
    async with stream:
        await stream.ready()
        headers = dict(started[0]["headers"])
    assert started[0]["status"] == 200
    assert headers[b"content-type"] == b"text/event-stream; charset=utf-8"
    assert headers[b"cache-control"] == b"no-store" and headers[b"x-accel-buffering"] == b"no"
    assert b"content-encoding" not in headers and b"content-length" not in headers
    assert stream.raw.startswith(b"retry: 1500\n\nevent: hello\nid: ")
    hello, ready = stream.events
    assert set(hello["data"]) == {"v", "mode", "hb", "exp"} and hello["data"]["mode"] == "live"
    assert hello["data"]["hb"] == 15 and ready["data"] == {"v": 1, "replayed": 0} and ready["id"] == hello["id"]


async def test_last_event_id_wins_over_the_cursor(world: World) -> None:
    token = await world.token("sales1")
    async with Stream(world.app, token) as first:
        await first.ready()
        await world.owned("sales1")
        await first.until(lambda: bool(first.frames()))
    start, seen = first.events[0]["id"], first.frames()[0]["id"]
    async with Stream(world.app, token, f"cursor={start}", last_event_id=seen) as second:
        await second.ready()
    async with Stream(world.app, token, f"cursor={start}") as third:
        await third.ready()
    assert second.frames() == [] and [f["id"] for f in third.frames()] == [seen]


async def test_the_seventh_stream_of_a_person_is_refused(world: World) -> None:
    token = await world.token("sales1")
    streams = [Stream(world.app, token) for _ in range(7)]
    for stream in streams[:6]:
        await stream.__aenter__()
        assert stream.status == 200
    async with streams[6] as refused, Stream(world.app, await world.token("sales2")) as other:
        assert refused.status == 429 and other.status == 200
    await streams[0].cut()
    async with Stream(world.app, token) as again:
        assert again.status == 200
    for stream in streams[1:6]:
        await stream.cut()
    _nothing_left(world)


@pytest.mark.parametrize("token", ["", "forged"])
async def test_a_stream_is_only_for_who_is_signed_in(world: World, token: str) -> None:
    async with Stream(world.app, token) as stream:
        assert stream.status == 401
    _nothing_left(world)


async def test_a_head_request_opens_no_stream(world: World) -> None:
    answer = await within((await world.client("sales1")).head("/api/v1/stream"))
    assert answer.status_code == 200 and answer.content == b""
    _nothing_left(world)


@pytest.mark.parametrize("lead", ["x", "-1", "9" * 40, "٣"])
async def test_a_lead_that_is_no_id_narrows_to_nothing(world: World, lead: str) -> None:
    async with Stream(world.app, await world.token("sales1"), f"lead={lead}") as stream:
        await stream.ready()
        await world.owned("sales1")
        await settled(world)
        assert stream.frames() == []


# Ends ----------------------------------------------------------------------------------------------------------------------


def _nothing_left(world: World) -> None:
    fanout = world.hub.fanout
    assert not fanout.subscribers and not fanout._rooms
    assert all(store.pins == 0 for store in world.stores.values())


async def test_an_expired_token_ends_its_stream_and_tells_the_client_to_come_back(world: World) -> None:
    """Invariant 19."""
    short = await world.token("sales1", life=10_000_000_000_000)
    async with Stream(world.app, short) as mine, Stream(world.app, await world.token("sales2")) as other:
        await mine.ready(), await other.ready()
        world.time.forward(mine.events[0]["data"]["exp"] - world.time.now / 1_000_000 - 2)
        await world.hub.keeper.sweep()
        assert not mine.ended
        world.time.forward(3)
        await world.hub.keeper.sweep()
        await mine.until(lambda: mine.events[-1]["event"] == "bye")
        bye = mine.events[-1]
        assert bye["data"] == {"v": 1, "reason": "token_expired", "retry_ms": 1500, "reconnect": True}
        assert bye["id"] is None and other.events[-1]["event"] != "bye"


async def test_nothing_is_left_of_streams_that_were_cut(world: World) -> None:
    """Rooms, subscribers, pins and tasks are back to where they were, however a stream ended."""
    before = asyncio.all_tasks()
    streams = [Stream(world.app, await world.token(name)) for name in ("sales1", "admin", "warrior1", "guest1")]
    for stream in streams:
        await stream.__aenter__()
    await world.owned("sales1")
    await streams[0].cut()
    for subscriber in tuple(world.hub.fanout.subscribers):
        subscriber.bye("shutdown", reconnect=True)
    for stream in streams:
        await stream.cut()
    await settled(world)
    _nothing_left(world)
    assert asyncio.all_tasks() <= before


# Slow readers --------------------------------------------------------------------------------------------------------------


class Pipe(asyncio.Transport):
    """A transport whose reader takes everything, or (`stalled`) nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.written, self.stalled, self.waiting = b"", False, 0
        self.closed = asyncio.Event()
        self.aborted = False

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def write(self, data: Any) -> None:
        self.written += data
        self.waiting += len(data) if self.stalled else 0

    def is_closing(self) -> bool:
        return self.closed.is_set()

    def close(self) -> None:
        self.closed.set()

    def abort(self) -> None:
        self.aborted = True
        self.closed.set()

    def body(self) -> bytes:
        """What was written, out of its chunks."""
        found, rest = b"", self.written
        while rest:
            size, _, rest = rest.partition(b"\r\n")
            found, rest = found + rest[: int(size, 16)], rest[int(size, 16) + 2 :]
        return found


class Piped:
    """A stream straight on a transport, as under the real server."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.name, self.pipe = world, name, Pipe()

    async def __aenter__(self) -> "Piped":
        world = self.world
        self.subscriber = Subscriber(world.store.id, b"", await world.viewer(self.name), lambda: None, lambda: None)
        stream = SSEStream(world.hub.fanout, world.store, self.subscriber, None)

        async def receive() -> dict[str, Any]:
            await self.pipe.closed.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            pass

        self.task = asyncio.create_task(stream.run({"leadfloor.transport": self.pipe}, receive, send))
        await until(lambda: b"event: ready" in self.pipe.written)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.pipe.close()
        await within(self.task)

    def events(self) -> list[tuple[str, Any]]:
        parser = Parser()
        parser.feed(self.pipe.body())
        return [(name, orjson.loads(data)) for name, _, data in parser.events]


async def until(condition: Any) -> None:
    """Turn by turn of the loop until it holds, not longer than the deadline."""
    end = asyncio.get_running_loop().time() + DEADLINE
    while not condition():
        assert asyncio.get_running_loop().time() < end, "it never came"
        await asyncio.sleep(0)


async def test_a_slow_reader_is_reset_then_cut_and_the_others_do_not_notice(world: World) -> None:
    """Invariant 22: its queue is bounded, nobody waits for it, and it is gone after twenty seconds."""
    now = SimpleNamespace(at=1_000.0)
    world.hub.fanout.monotonic = lambda: now.at
    lead, sweep = (await world.owned("sales1")).lead, world.hub.keeper.sweep
    admin = await world.viewer("admin")

    async def flood(times: int) -> None:
        await asyncio.gather(
            *(world.store.write(actions.log_activity, admin, lead.id, "note", text="x" * 9_000) for _ in range(times))
        )
        await settled(world)

    async with Piped(world, "admin") as slow, Piped(world, "manager1") as fast:
        slow.pipe.stalled = True
        slow.pipe.waiting = WATERMARK
        await flood(40)
        await until(lambda: slow.subscriber.behind_since is not None and not fast.subscriber.queue)
        assert slow.subscriber.queued > MOST_QUEUED and fast.subscriber.queued == 0
        assert [e for e, _ in fast.events()].count("timeline.added") == 40
        await sweep()
        assert slow.subscriber.queued < 200, "one reset in the place of all that waited"
        assert world.hub.fanout.resets["slow"] == 1
        await flood(40)
        await sweep()
        assert slow.subscriber.queued < 200, "and again, before it is cut"
        assert not slow.pipe.aborted
        now.at += 9.9
        await sweep()
        assert not slow.pipe.aborted
        now.at += 0.2
        await sweep()
        assert slow.pipe.aborted
        await within(slow.task)
        assert fast.subscriber in world.hub.fanout.subscribers and not fast.subscriber.stuck_since
        assert [e for e, _ in fast.events()].count("timeline.added") == 80
    _nothing_left(world)


async def test_a_reader_that_wakes_up_reads_the_reset_and_what_follows(world: World) -> None:
    now = SimpleNamespace(at=1_000.0)
    world.hub.fanout.monotonic = lambda: now.at
    async with Piped(world, "admin") as slow:
        slow.pipe.stalled, slow.pipe.waiting = True, WATERMARK
        await world.owned("sales1")
        await until(lambda: slow.subscriber.behind_since is not None)
        now.at += 10.1
        await world.hub.keeper.sweep()
        slow.pipe.stalled, slow.pipe.waiting = False, 0
        await until(lambda: not slow.subscriber.queue)
        await world.owned("sales2")
        await until(lambda: slow.events()[-1][0] == "lead.entered")
        now.at += 11
        await world.hub.keeper.sweep()
        assert not slow.pipe.aborted and slow.subscriber.behind_since is None
        names = [name for name, _ in slow.events() if name != "hb"]
        assert names == ["hello", "ready", "reset", "lead.entered"]
        assert dict(slow.events())["reset"] == {"v": 1, "reason": "slow"}


async def test_a_heartbeat_comes_every_fifteen_seconds_at_most_and_names_where_the_stream_is(world: World) -> None:
    now = SimpleNamespace(at=1_000.0)
    world.hub.fanout.monotonic = lambda: now.at
    async with Piped(world, "sales1") as quiet:
        await world.hub.keeper.sweep()
        await world.owned("sales3")
        await settled(world)
        for _ in range(2):
            now.at += 1
            await world.hub.keeper.sweep()
        assert not [e for e in quiet.events() if e[0] == "hb"]
        for _ in range(2):
            now.at += HEARTBEAT
            await world.hub.keeper.sweep()
            await until(lambda: not quiet.subscriber.queue)
        parser = Parser()
        parser.feed(quiet.pipe.body())
        beats = [(identity, orjson.loads(data)) for name, identity, data in parser.events if name == "hb"]
        head = (await world.store.read(read_head)).cursor
        assert len(beats) == 2 and {identity for identity, _ in beats} == {head}
        assert all(set(data) == {"t"} and abs(data["t"] - world.time.now // 1000) < 1000 for _, data in beats)
        await world.owned("sales1")
        await until(lambda: quiet.events()[-1][0] == "lead.entered")
        assert quiet.events()[-1][1]["prev"] == head


async def test_a_bye_on_a_transport_ends_the_chunks_and_closes_it(world: World) -> None:
    async with Piped(world, "sales1") as stream:
        stream.subscriber.bye("rotate", reconnect=True)
        stream.subscriber.bye("shutdown", reconnect=True)
        stream.subscriber.reset("slow", 9)
        await within(stream.task)
        assert stream.pipe.written.endswith(b"0\r\n\r\n") and not stream.pipe.aborted
        assert [name for name, _ in stream.events()] == ["hello", "ready", "bye"]
    _nothing_left(world)
