"""A hub (or a route that does nothing) in a process of its own, as the door serves it, with a probe of its event loop.

`python -m bench.server hub|noop FOLDER CORE`. Prints `{"port": …}`; for each line on stdin, what was measured since the line before.
"""

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import PlainTextResponse, Response

import main as door
from backend.hub import Hub
from backend.store.database import Store
from backend.store.journal import Recorded
from backend.store.transactions import Tx

from . import floor
from .figures import percentile

PROBE_SECONDS = 0.005


class Probe:
    """How late the loop's timers are, the CPU time of the process, and (hub) when each fact was committed."""

    def __init__(self) -> None:
        self.late: list[float] = []
        self.committed: list[tuple[int, float]] = []
        self._cpu = 0.0

    async def run(self) -> None:
        while True:
            due = time.perf_counter() + PROBE_SECONDS
            await asyncio.sleep(PROBE_SECONDS)
            self.late.append(time.perf_counter() - due)

    async def answer(self) -> None:
        """One line of figures for each line asked."""
        reader = asyncio.StreamReader()
        await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
        while await reader.readline():
            print(json.dumps(self.taken()), flush=True)

    def taken(self) -> dict[str, Any]:
        late, cpu = sorted(self.late) or [0.0], time.process_time()
        taken = {
            "cpu": cpu - self._cpu,
            "late": {"p50": percentile(late, 0.5), "p99": percentile(late, 0.99), "max": late[-1]},
            "committed": self.committed,
        }
        self.late, self.committed, self._cpu = [], [], cpu
        return taken

    def stamp_commits(self) -> None:
        """Note when COMMIT returned in the writer's thread: before the loop hears of it."""
        commit = Store.commit

        def stamped(store: Store, tx: Tx) -> list[Recorded]:
            facts = commit(store, tx)
            now = time.monotonic()
            self.committed.extend((f.number, now) for f in facts)
            return facts

        Store.commit = stamped  # type: ignore[method-assign, assignment]


def noop() -> FastAPI:
    """What a route costs that takes the same bytes and does nothing with them."""
    app = FastAPI(openapi_url=None)

    @app.post("/api/webhook/whatsapp")
    async def receive(request: Request) -> Response:
        await request.body()
        return PlainTextResponse("ok")

    return app


async def serve(kind: str, folder: Path) -> None:
    probe = Probe()
    settings = floor.settings(folder)
    with door._listen(settings) as listener:
        print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
        tasks = [asyncio.create_task(probe.run()), asyncio.create_task(probe.answer())]
        if kind == "hub":
            probe.stamp_commits()
            await door._serve(Hub(settings), listener, with_demo=False, traffic=False)
        else:
            config = uvicorn.Config(
                noop(), log_config=None, access_log=False, http="httptools", timeout_keep_alive=30, server_header=False
            )
            await uvicorn.Server(config).serve([listener])
        for task in tasks:
            task.cancel()


if __name__ == "__main__":
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {int(sys.argv[3])})
    asyncio.run(serve(sys.argv[1], Path(sys.argv[2])))
