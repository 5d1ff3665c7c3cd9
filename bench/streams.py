"""From the commit to the client: 500 open streams of all kinds of people while customers write 50 messages a second."""

import asyncio
import json
import pickle
import sqlite3
from collections import defaultdict
from contextlib import closing
from pathlib import Path
from typing import Any

from backend.access import signin
from backend.access.scope import EVERYTHING, Viewer, people_of
from backend.store.ids import DAY
from backend.store.secrets import Keys

from . import floor
from .figures import RUNS, Row, Wrong, ms, percentile
from .listeners import WARM_UP, Told
from .processes import CLIENT_CORE, Process, measured, serving

RATE, EACH = 50, 5
"""Writes a second, and streams of each of the floor's people."""


def run(template: Path, work: Path, quick: bool) -> list[Row]:
    count = RATE * (10 if quick else 30)
    runs = [_one(floor.copy(template, work / "streams"), count, seed) for seed in range(RUNS)]
    waits = [sorted(run["waits"]) for run in runs]
    each = sorted(len(w) for w in waits)[RUNS // 2] / count
    streams = EACH * sum(floor.STAFF.values())
    what, note = f"{RATE} writes/s, {streams} streams", f"{each:.0f} deliveries per write"
    return [
        Row(f"{what}, p50", [percentile(w, 0.5) * 1e3 for w in waits], "ms", most=False, note=note),
        Row(f"{what}, p99", [percentile(w, 0.99) * 1e3 for w in waits], "ms", most=False),
        Row(f"{what}, max", [w[-1] * 1e3 for w in waits], "ms", most=False),
        Row(
            "delivered, each in order, none missing, none twice",
            [len(w) / count * RATE for w in waits],
            "/s",
            cpu=[run["cpu"] / len(w) * 1e6 for run, w in zip(runs, waits, strict=True)],
            note=f"event loop late p99 {ms(sorted(run['late'] for run in runs)[RUNS // 2])} ms",
        ),
    ]


def _one(folder: Path, count: int, seed: int) -> dict[str, Any]:
    told_to, job = folder / "told", folder / "job.json"
    given = {
        "port": 0,
        "secret": Keys(floor.KEY).derived("meta-app-secret").hex(),
        "seed": seed,
        "core": CLIENT_CORE,
        "count": count,
        "rate": RATE,
        "listeners": asyncio.run(_listeners(folder)),
        "into": str(told_to),
    }
    with serving("hub", folder) as (server, port):
        job.write_text(json.dumps({**given, "port": port}))
        theirs, ours = measured(server, Process("listeners", str(job)))
    if theirs["refused"]:
        raise Wrong(f"answers other than 200: {theirs['refused']}")
    floor.check(folder, WARM_UP + count)
    streams = pickle.loads(told_to.read_bytes())
    for stream in streams:
        stream["told"] = [Told(*told) for told in stream["told"]]
    _check(folder, streams)
    committed = dict(ours["committed"])
    waits = [told.at - committed[told.number] for stream in streams for told in stream["told"]]
    return {"waits": waits, "cpu": ours["cpu"], "late": ours["late"]["p99"]}


async def _listeners(folder: Path) -> list[tuple[str, int, str]]:
    """(reach key, person, token) for each stream."""
    async with floor.open_hub(folder) as (hub, store):
        everybody = await store.read(people_of)
        found = []
        for person in everybody.by_id.values():
            session = await store.write(signin.start_session, person.id, "api")
            token = hub.tokens.issue(store.id, session, hub.clock(), DAY)
            found += [(Viewer.of(person, everybody).reach, person.id, token)] * EACH
        return found


def _check(folder: Path, streams: list[dict[str, Any]]) -> None:
    """Raise Wrong unless each stream was told exactly what the journal holds for it, in order, each frame naming the one before."""
    with closing(sqlite3.connect(f"file:{folder / 'companies' / floor.SLUG}.db?mode=ro", uri=True)) as db:
        of_leads = [n for (n,) in db.execute("SELECT number FROM journal WHERE lead_id IS NOT NULL AND side > 0")]
        heard = defaultdict(list)
        for key, number in db.execute("SELECT key, number FROM journal_audience ORDER BY number"):
            heard[key].append(number)
    for stream in streams:
        key, begun = stream["key"], stream["from"]
        if stream["lost"] or stream["resets"] or begun is None:
            raise Wrong(f"a stream of {key} broke")
        reached = of_leads if key in EVERYTHING else heard[key]
        expected = sorted({n for n in (*reached, *heard[f"u:{stream['person']}"]) if n > begun})
        got = [told.number for told in stream["told"]]
        if got != expected:
            raise Wrong(f"a stream of {key} was told {len(got)} facts of {len(expected)}, or not in their order")
        # a heartbeat carries the current id, so the frame before may be one
        if not all(last <= told.prev < told.number for last, told in zip([begun, *got], stream["told"], strict=False)):
            raise Wrong(f"a stream of {key} has a gap between two frames")
