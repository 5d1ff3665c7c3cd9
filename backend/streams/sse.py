"""Server-sent events: one parked `receive()` per stream, writes by callback straight on the transport.

`shim` is the outermost ASGI callable: frameworks wrap `send`, so the transport must be picked up before them.
"""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ..errors import HubError
from ..store.database import Store
from .fanout import Fanout, Subscriber
from .opening import catch_up

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
FINISH_SECONDS = 5.0


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

    async def finish(self) -> None:
        """The end of the response, where it is not a transport's to close."""
        if self._transport is not None:
            return
        if self._sending is not None:
            await asyncio.wait({self._sending}, timeout=FINISH_SECONDS)
        if self.ready():
            await asyncio.wait_for(self._send({"type": "http.response.body", "body": b""}), FINISH_SECONDS)

    def drop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

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
            await self._begin()
            await self._until_gone(receive)
            await self._wire.finish()
        finally:
            self._store.pins -= 1
            self._fanout.leave(subscriber)
            subscriber.closing = True
            subscriber.queue.clear()
            self._wire.drop()

    async def _begin(self) -> None:
        try:
            await catch_up(self._fanout, self._store, self._subscriber, self._cursor)
        except HubError:  # the status line has gone out already: the client comes back and tries again
            self._subscriber.bye("rotate", reconnect=True)
        self._flush()

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
            subscriber.behind_since = self._fanout.monotonic()
        self._due = True
        self._loop.call_later(0.05, self._flush)

    def _end(self) -> None:
        self._flush()
        self._ended.set()
        self._wire.close()
