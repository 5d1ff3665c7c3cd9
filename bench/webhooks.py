"""Signed webhooks over HTTP against a real hub process, each committed before its 200; beside it a route that does nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from backend.store.secrets import Keys

from . import floor
from .figures import RUNS, Row, Wrong, ms
from .processes import CLIENT_CORE, Process, measured, serving

RATE, CONNECTIONS = 320, 64
AIM_WAIT, AIM_LATE, AIM_RATE = 0.050, 0.010, 2_500


class Taken(NamedTuple):
    client: dict[str, Any]
    server: dict[str, Any]
    cpu: float
    """µs of the server's CPU for one message."""


def run(template: Path, work: Path, quick: bool) -> list[Row]:
    steady, busy = RATE * (10 if quick else 60), 8_000 if quick else 30_000

    def against(kind: str, count: int, **job: Any) -> list[Taken]:
        return [_taken(kind, floor.copy(template, work / "hub"), count, seed, job) for seed in range(RUNS)]

    opened = against("hub", steady, rate=RATE, connections=256)
    closed = against("hub", busy, connections=CONNECTIONS)
    idle_opened = against("noop", RATE * 10, rate=RATE, connections=256)
    idle_closed = against("noop", busy, connections=CONNECTIONS)
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
        figures, beside = ([figure(t) for t in some] for some in (hub, idle))
        made = Row(f"open loop, {RATE}/s, {what}", [f * 1e3 for f in figures], "ms", most=False)
        return Row(
            made.what,
            made.runs,
            made.unit,
            most=False,
            cpu=[t.cpu for t in hub] if what == "p50" else (),
            note=f"a route that does nothing: {ms(sorted(beside)[len(beside) // 2])} ms",
            target=f"≤ {ms(aim)} ms" if aim else "",
            met=made.median <= aim * 1e3 if aim else None,
        )

    return [
        row("p50", lambda t: t.client["p50"]),
        row("p99", lambda t: t.client["p99"], AIM_WAIT),
        row("max", lambda t: t.client["max"]),
        row("event loop late, p50", lambda t: t.server["late"]["p50"]),
        row("event loop late, p99", lambda t: t.server["late"]["p99"], AIM_LATE),
    ]


def _most(what: str, taken: list[Taken], aim: int | None = None) -> Row:
    rates = [t.client["accepted"] / t.client["seconds"] for t in taken]
    middle = taken[rates.index(sorted(rates)[len(rates) // 2])].client
    row = Row(what, rates, "/s", cpu=[t.cpu for t in taken])
    note = f"p50 {ms(middle['p50'])}, p99 {ms(middle['p99'])} ms"
    met = row.median >= aim if aim else None
    return Row(what, rates, "/s", cpu=row.cpu, note=note, target=f"≥ {aim:,}/s" if aim else "", met=met)
