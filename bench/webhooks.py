"""Signed webhooks over HTTP against a real hub process, each committed before its 200; beside it a route that does nothing."""

import json
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from backend.store.secrets import Keys

from . import floor
from .figures import RUNS, Row, Wrong, ms
from .processes import CLIENT_CORE, Process, measured, serving

RATE, OPEN_CONNECTIONS, CONNECTIONS = 320, 256, 64
AIM_WAIT, AIM_LATE, AIM_RATE = 0.050, 0.010, 2_500


class Taken(NamedTuple):
    client: dict[str, Any]
    server: dict[str, Any]
    cpu: float
    """µs of the server's CPU for one message."""


def run(template: Path, work: Path, quick: bool) -> list[Row]:
    steady, busy = RATE * (10 if quick else 60), 8_000 if quick else 30_000

    def taken(kind: str, count: int, seed: int, **job: Any) -> Taken:
        return _taken(kind, floor.copy(template, work / "hub"), count, seed, job)

    opened, idle_opened, closed, idle_closed = [], [], [], []
    for seed in range(RUNS):  # round by round, so that what else the machine does meets all of them alike
        opened.append(taken("hub", steady, seed, rate=RATE, connections=OPEN_CONNECTIONS))
        idle_opened.append(taken("noop", RATE * 10, seed, rate=RATE, connections=OPEN_CONNECTIONS))
        closed.append(taken("hub", busy, seed, connections=CONNECTIONS))
        idle_closed.append(taken("noop", busy, seed, connections=CONNECTIONS))
    return [
        *_open_rows(opened, idle_opened),
        _most(f"closed loop, {CONNECTIONS} connections", closed, AIM_RATE),
        _most("the same to a route that does nothing", idle_closed),
    ]


def _taken(kind: str, folder: Path, count: int, seed: int, job: dict[str, Any]) -> Taken:
    secret = Keys(floor.KEY).derived("meta-app-secret").hex()
    with serving(kind, folder) as (server, port):
        given = {"port": port, "secret": secret, "seed": seed, "core": CLIENT_CORE, "count": count, **job}
        client, ours = measured(server, Process("client", json.dumps(given)))
    if client["refused"]:
        raise Wrong(f"answers other than 200: {client['refused']}")
    if kind == "hub":
        floor.check(folder, client["accepted"])
    return Taken(client, ours, ours["cpu"] / count * 1e6)


def _open_rows(hub: list[Taken], idle: list[Taken]) -> list[Row]:
    def row(what: str, figure: Callable[[Taken], float], aim: float | None = None) -> Row:
        figures = [figure(t) for t in hub]
        return Row(
            f"open loop, {RATE}/s, {what}",
            [f * 1e3 for f in figures],
            "ms",
            most=False,
            cpu=[t.cpu for t in hub] if what == "p50" else (),
            note=f"a route that does nothing: {ms(statistics.median(figure(t) for t in idle))} ms",
            target=f"≤ {ms(aim)} ms" if aim else "",
            met=statistics.median(figures) <= aim if aim else None,
        )

    return [
        row("p50", lambda t: t.client["p50"]),
        row("p99", lambda t: t.client["p99"], AIM_WAIT),
        row("max", lambda t: t.client["max"]),
        row("event loop late, p50", lambda t: t.server["late"]["p50"]),
        row("event loop late, p99", lambda t: t.server["late"]["p99"], AIM_LATE),
    ]


def _most(what: str, taken: list[Taken], aim: int | None = None) -> Row:
    rates = [t.client["per_second"] for t in taken]
    middle = taken[rates.index(sorted(rates)[len(rates) // 2])].client
    return Row(
        what,
        rates,
        "/s",
        cpu=[t.cpu for t in taken],
        note=f"p50 {ms(middle['p50'])}, p99 {ms(middle['p99'])} ms",
        target=f"≥ {aim:,}/s" if aim else "",
        met=statistics.median(rates) >= aim if aim else None,
    )
