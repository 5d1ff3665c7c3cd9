"""Inbound, exactly once: the provider's bytes and what became of each of their units, in one transaction.

A unit ends processed, ignored, quarantined (the provider's fault) or, after retries, failed (ours). One that fails never holds up its
neighbours, and nothing that a provider got a 200 for is lost.
"""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from sqlalchemy import bindparam, func, select, update

from ..access.roles import May
from ..access.scope import Viewer
from ..channels.contract import Broken, Channel, Delivery, StateReported, Unit
from ..channels.whatsapp import whatsapp
from ..errors import Invalid
from ..store.ids import SECOND
from ..store.statements import insert_into, prepare
from ..store.tables.inbox import deliveries, units
from ..store.transactions import Rx, StoreFailed, Tx
from .actions import apply_unit

log = logging.getLogger(__name__)

CHANNELS: dict[str, Channel] = {c.name: c for c in (whatsapp,)}

ATTEMPTS = 5
BACK_OFF = (2, 10, 60, 300)
"""Seconds before the second, third, … attempt at a unit that our own error stopped."""

STATES = ("processed", "ignored", "quarantined", "failed", "pending")


class Numbered(NamedTuple):
    """A unit and its place in its delivery; the same bytes give the same numbers again."""

    n: int
    account: str
    unit: Unit


_DELIVERY = insert_into(deliveries)
_UNIT = insert_into(units)


def receive(tx: Tx, channel: str, body: bytes, numbered: Sequence[Numbered]) -> Counter[str]:
    """Keep the bytes and settle each unit; how many ended in which state."""
    delivery = tx.id()
    tx.later(_DELIVERY, id=delivery, channel=channel, received_at=tx.now, body=body)
    states: Counter[str] = Counter()
    for n, account, unit in numbered:
        state, reason = settle(tx, channel, account, unit)
        states[state] += 1
        tx.later(
            _UNIT,
            delivery_id=delivery,
            n=n,
            kind=type(unit).__name__.lower(),
            provider_id=_provider_id(unit),
            state=state,
            reason=reason,
            attempts=1,
            next_at=tx.now + BACK_OFF[0] * SECOND if state == "pending" else None,
        )
    return states


def settle(tx: Tx, channel: str, account: str, unit: Unit) -> tuple[str, str | None]:
    """(state, reason) of one unit, applied in a savepoint of its own."""
    if isinstance(unit, Broken):
        return "quarantined", unit.reason
    try:
        return tx.attempt(apply_unit, channel, account, unit)
    except StoreFailed:
        raise
    except Invalid as refused:
        return "quarantined", refused.message
    except Exception as error:  # ours: to be tried again, and counted apart from what providers do
        log.exception("a %s of %s could not be applied", type(unit).__name__, channel)
        return "pending", f"{type(error).__name__}"


def _provider_id(unit: Unit) -> str | None:
    return f"{unit.provider_id}:{unit.state}"[:512] if isinstance(unit, StateReported) else unit.provider_id


_DUE = prepare(
    select(units.c.delivery_id, units.c.n, units.c.attempts, deliveries.c.channel, deliveries.c.body)
    .join(deliveries, deliveries.c.id == units.c.delivery_id)
    .where(units.c.state == "pending", units.c.next_at <= bindparam("now"))
    .order_by(units.c.next_at)
    .limit(20)
)
_TRIED = prepare(
    update(units)
    .where(units.c.delivery_id == bindparam("b_delivery"), units.c.n == bindparam("b_n"))
    .values({c: bindparam(c) for c in ("state", "reason", "attempts", "next_at")})
)


def retry_due(tx: Tx) -> int:
    """Try the pending units whose time has come once more; how many there were."""
    due = tx.all(_DUE, now=tx.now)
    for delivery, n, attempts, channel, body in due:
        state, reason = _again(tx, channel, body, n)
        attempts += 1
        if state == "pending" and attempts >= ATTEMPTS:
            state = "failed"
        wait = BACK_OFF[min(attempts, len(BACK_OFF)) - 1] * SECOND
        tx.run(
            _TRIED,
            b_delivery=delivery,
            b_n=n,
            state=state,
            reason=reason,
            attempts=attempts,
            next_at=tx.now + wait if state == "pending" else None,
        )
    return len(due)


def _again(tx: Tx, channel: str, body: bytes, n: int) -> tuple[str, str | None]:
    for numbered in number(CHANNELS[channel].read(body, tx.now)):
        if numbered.n == n:
            return settle(tx, channel, numbered.account, numbered.unit)
    return "failed", "this version finds no such unit in the delivery"  # raising would hold up every other unit


def number(delivery: Delivery) -> list[Numbered]:
    """The units of a delivery with their numbers, over all its accounts."""
    found = [(part.account, unit) for part in delivery.parts for unit in part.units]
    return [Numbered(n, account, unit) for n, (account, unit) in enumerate(found)]


_STATES = prepare(select(units.c.state, func.count()).group_by(units.c.state))


def ledger(rx: Rx, viewer: Viewer) -> dict[str, int]:
    """Units of the company by state; `received` is their sum."""
    viewer.must(May.LEDGER, "Your role may not read the ledger.")
    states = {state: int(n) for state, n in rx.all(_STATES)}
    counted = {state: states.get(state, 0) for state in STATES}
    return {"received": sum(counted.values()), **counted}
