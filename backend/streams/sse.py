"""Server-sent events: one parked `receive()` per stream, writes by callback straight on the transport.

`shim` is the outermost ASGI callable: frameworks wrap `send`, so the transport must be picked up before them.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..store.database import Store
from ..store.journal import read_head
from .fanout import Fanout, Subscriber
from .replay import Replay, replay

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]

HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]
PER_WRITE = 16 * 1024
WATERMARK = 64 * 1024
REPLAYS = asyncio.Semaphore(16)


class Shim:
    """Outermost: notes the connection's transport in the scope, where the server is one that we know."""

    def __init__(self, app: Callable[[Scope, Receive, Send], Awaitable[None]]) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            transport = getattr(getattr(send, "__self__", None), "transport", None)
            if isinstance(transport, asyncio.Transport) and scope.get("http_version") == "1.1":
                scope["leadfloor.transport"] = transport
        await self._app(scope, receive, send)


class Wire:
    """Chunks of one response: on the transport itself where there is one, else through `send`."""

    def __init__(self, transport: asyncio.Transport | None, send: Send) -> None:
        self._transport = transport
        self._send = send
        self._sending: asyncio.Task[None] | None = None

    @property
    def direct(self) -> bool:
        return self._transport is not None

    def ready(self) -> bool:
        if self._transport is None:
            return self._sending is None or self._sending.done()
        return self._transport.get_write_buffer_size() < WATERMARK

    def write(self, data: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"%x\r\n%b\r\n" % (len(data), data))
        else:
            self._sending = asyncio.ensure_future(
                self._send({"type": "http.response.body", "body": data, "more_body": True})
            )

    def close(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            if self.ready():
                self._transport.write(b"0\r\n\r\n")
                self._transport.close()
            else:
                self._transport.abort()


class SSEStream:
    """One open stream, from `hello` to `bye` or the client's going away."""

    def __init__(self, fanout: Fanout, store: Store, subscriber: Subscriber, cursor: str | None) -> None:
        self._fanout = fanout
        self._store = store
        self._cursor = cursor
        self._subscriber = subscriber
        self._loop = asyncio.get_running_loop()
        self._due = False
        self._ended = asyncio.Event()
        self._wire: Wire
        subscriber.wake = self._wake
        subscriber.end = self._end

    async def run(self, scope: Scope, receive: Receive, send: Send) -> None:
        subscriber = self._subscriber
        self._wire = Wire(scope.get("leadfloor.transport"), send)
        self._fanout.join(subscriber)
        self._store.pins += 1
        try:
            await send({"type": "http.response.start", "status": 200, "headers": HEADERS})
            self._wire.write(b"retry: 1500\n\n")
            await self._catch_up()
            await self._until_gone(receive)
        finally:
            self._store.pins -= 1
            self._fanout.leave(subscriber)

    async def _catch_up(self) -> None:
        """Replay what was missed, then what came meanwhile: joined before the read, so nothing can slip between."""
        subscriber = self._subscriber
        subscriber.held = []
        asked_as = subscriber.viewer
        async with REPLAYS:
            missed = await self._store.read(replay, asked_as, self._cursor)
        if subscriber.closing:
            return
        if subscriber.viewer is not asked_as:  # his rights changed meanwhile: what was read is not for him any more
            missed = Replay((), await self._store.read(read_head), "scope_changed")
        head = missed.head
        subscriber.epoch, subscriber.head = head.epoch.encode(), head.number
        resumes = self._cursor is not None and missed.reset is None
        start = int(self._cursor.partition(".")[2]) if resumes and self._cursor else head.number
        held, subscriber.held = subscriber.held, None
        hello = {"v": 1, "mode": "resume" if resumes else "live", "hb": 15, "exp": subscriber.expires_at // 1_000_000}
        subscriber.say("hello", hello, start)
        if missed.reset is not None:
            subscriber.reset(missed.reset, head.number)
        for frame in missed.frames:
            subscriber.give(frame)
        subscriber.say("ready", {"v": 1, "replayed": len(missed.frames)}, head.number)
        newest = max(head.number, start)
        for frame in held:
            if frame.number > newest:
                subscriber.give(frame)

    async def _until_gone(self, receive: Receive) -> None:
        async def gone() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        if self._wire.direct:  # closing the transport wakes the receiver: one coroutine a stream is enough
            await gone()
            return
        waiting = {asyncio.ensure_future(gone()), asyncio.ensure_future(self._ended.wait())}
        _, left = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in left:
            task.cancel()

    def _wake(self) -> None:
        if not self._due:
            self._due = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._due = False
        subscriber = self._subscriber
        while subscriber.queue and self._wire.ready():
            taken, size = 0, 0
            while taken < len(subscriber.queue) and (not taken or size + len(subscriber.queue[taken]) <= PER_WRITE):
                size += len(subscriber.queue[taken])
                taken += 1
            self._wire.write(b"".join(subscriber.queue[:taken]))
            del subscriber.queue[:taken]
            subscriber.queued -= size
            subscriber.stuck_since = None
        if not subscriber.queue:
            subscriber.behind_since = None
            return
        if subscriber.behind_since is None:
            subscriber.behind_since = time.monotonic()
        self._due = True
        self._loop.call_later(0.05, self._flush)

    def _end(self) -> None:
        self._flush()
        self._ended.set()
        self._wire.close()
