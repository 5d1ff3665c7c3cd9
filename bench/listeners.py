"""500 open streams and the 50 writes a second that they hear of. `python -m bench.listeners JOB`: as `client`, and keeps what came.

What arrives is only stamped while it runs, and read when all is over: reading it would be measured too.
"""

import asyncio
import bisect
import gc
import json
import os
import pickle
import re
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from . import floor, load

WARM_UP = 100
QUIET_SECONDS = 1.0
READY_SECONDS = 60
FRAME = re.compile(rb'event: ([a-z.]+)\nid: \w+\.(\d+)\ndata: \{"v":1,"prev":"\w+\.(\d+)".*?\n\n', re.DOTALL)
READY = re.compile(rb"event: ready\nid: \w+\.(\d+)\n")


class Told(NamedTuple):
    """A frame: the number of its fact, of the frame it names as the one before, and when its last byte was there."""

    number: int
    prev: int
    at: float


class Stream(asyncio.Protocol):
    def __init__(self, port: int, key: str, person: int, token: str) -> None:
        self.key, self.person = key, person
        self._request = (
            f"GET /api/v1/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: Bearer {token}\r\n\r\n".encode()
        )
        self._chunks: list[bytes] = []
        self._ends: list[int] = []
        self._times: list[float] = []
        self.ready = asyncio.Event()
        self.lost = False

    def connection_made(self, transport: Any) -> None:
        transport.write(self._request)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def data_received(self, data: bytes) -> None:
        self._times.append(time.monotonic())
        self._chunks.append(data)
        self._ends.append((self._ends[-1] if self._ends else 0) + len(data))
        if not self.ready.is_set() and b"event: ready" in data:
            self.ready.set()

    def read(self) -> dict[str, Any]:
        """Everything told, in the order it came. A frame never lies across two of the response's chunks."""
        raw = b"".join(self._chunks)
        begun = READY.search(raw)
        told = [
            (int(m[2]), int(m[3]), self._times[bisect.bisect_left(self._ends, m.end())]) for m in FRAME.finditer(raw)
        ]
        return {
            "key": self.key,
            "person": self.person,
            "from": int(begun[1]) if begun else None,
            "told": told,
            "resets": raw.count(b"event: reset\n"),
            "lost": self.lost,
        }


async def work(job: dict[str, Any]) -> None:
    """`job`: port, secret, seed, core, count, rate, listeners ([key, person, token] each), into (a file)."""
    loop, secret = asyncio.get_running_loop(), job["secret"].encode()
    requests = [load.webhook(job["port"], secret, raw) for raw in floor.bodies(WARM_UP + job["count"], job["seed"])]
    senders = load.Load()
    await senders.connect(job["port"], 32)
    await senders.as_fast_as_answered(requests[:WARM_UP])
    streams = []
    for key, person, token in job["listeners"]:
        stream = Stream(job["port"], key, person, token)
        await loop.create_connection(lambda s=stream: s, "127.0.0.1", job["port"])  # type: ignore[misc]
        streams.append(stream)
    await asyncio.wait_for(asyncio.gather(*(s.ready.wait() for s in streams)), READY_SECONDS)
    gc.collect()
    gc.freeze()
    print("{}", flush=True)
    sys.stdin.readline()
    await senders.at_rate(requests[WARM_UP:], job["rate"])
    await asyncio.sleep(QUIET_SECONDS)
    with open(job["into"], "wb") as file:  # noqa: ASYNC230 - it is over: nobody waits for this loop
        pickle.dump([s.read() for s in streams], file)
    print(json.dumps({"refused": {s: n for s, n in senders.statuses.items() if s != 200}}), flush=True)


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text())
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {given["core"]})
    asyncio.run(work(given))
