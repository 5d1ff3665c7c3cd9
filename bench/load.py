"""Load: prepared requests on keep-alive connections, one under way on each. Raw protocols: the client is not what is measured."""

import asyncio
import re
import selectors
import time
from collections import Counter, deque
from collections.abc import Coroutine, Sequence
from typing import Any

from backend.channels.simulate import sign

DEADLINE = 300
"""Seconds that the last answer may be waited for."""
LENGTH = re.compile(rb"\r\ncontent-length: (\d+)\r\n", re.IGNORECASE)


def webhook(port: int, secret: bytes, body: bytes) -> bytes:
    """The bytes of one signed POST."""
    head = (
        f"POST /api/webhook/whatsapp HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Type: application/json\r\n"
        f"X-Hub-Signature-256: {sign(secret, body)}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Load:
    """What is to be sent, and what came of it. `waits` are seconds from when a request was due to its whole answer."""

    def __init__(self) -> None:
        self.statuses: Counter[int] = Counter()
        self.waits: list[float] = []
        self.idle: list[Connection] = []
        self._queue: deque[tuple[bytes, float | None]] = deque()
        self._expected = 0
        self._all = asyncio.Event()

    async def connect(self, port: int, connections: int) -> None:
        loop = asyncio.get_running_loop()
        for _ in range(connections):
            await loop.create_connection(lambda: Connection(self), "127.0.0.1", port)

    async def as_fast_as_answered(self, requests: Sequence[bytes]) -> float:
        """Closed loop: each connection sends its next request when it has its answer. The seconds it took."""
        self._expect(len(requests))
        began = time.perf_counter()
        self._queue.extend((request, None) for request in requests)
        while self.idle and self._queue:
            self.idle.pop().send(*self._queue.popleft())
        await asyncio.wait_for(self._all.wait(), DEADLINE)
        return time.perf_counter() - began

    async def at_rate(self, requests: Sequence[bytes], rate: float) -> float:
        """Open loop: requests are due at their times whatever the answers do, and are waited for from then on."""
        self._expect(len(requests))
        began = time.perf_counter()
        for n, request in enumerate(requests):
            due = began + n / rate
            if (ahead := due - time.perf_counter()) > 0:
                await asyncio.sleep(ahead)
            if self.idle:
                self.idle.pop().send(request, due)
            else:
                self._queue.append((request, due))
        await asyncio.wait_for(self._all.wait(), DEADLINE)
        return time.perf_counter() - began

    def _expect(self, count: int) -> None:
        self.statuses, self.waits, self._expected = Counter(), [], count
        self._all.clear()

    def answered(self, connection: "Connection", status: int, since: float) -> None:
        self.waits.append(time.perf_counter() - since)
        self.statuses[status] += 1
        if len(self.waits) == self._expected:
            self._all.set()
        if status and self._queue:
            connection.send(*self._queue.popleft())
        elif status:
            self.idle.append(connection)


class Connection(asyncio.Protocol):
    def __init__(self, load: Load) -> None:
        self._load = load
        self._got = b""
        self._since: float | None = None
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._load.idle.append(self)

    def send(self, request: bytes, due: float | None) -> None:
        self._since = time.perf_counter() if due is None else due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._got += data
        end = self._got.find(b"\r\n\r\n") + 4
        length = LENGTH.search(self._got) if end > 3 else None
        if length and len(self._got) >= end + int(length[1]) and self._since is not None:
            status, since = int(self._got[9:12]), self._since
            self._got, self._since = b"", None
            self._load.answered(self, status, since)

    def connection_lost(self, exc: Exception | None) -> None:
        if self in self._load.idle:
            self._load.idle.remove(self)
        if self._since is not None:
            since, self._since = self._since, None
            self._load.answered(self, 0, since)


def run(main: Coroutine[Any, Any, None]) -> None:
    """asyncio's usual selector rounds every timer up to a millisecond; this one does not."""
    loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
    loop.run_until_complete(main)
    loop.close()
