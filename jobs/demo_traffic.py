"""Life in the demo (`--demo-traffic`): customers write to the hub by signed webhooks, colleagues go on with their leads."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random

import httpx

from backend.access.roles import OPEN, Role, Status
from backend.access.scope import Viewer, people_of
from backend.channels import simulate
from backend.channels.whatsapp import whatsapp
from backend.errors import HubError
from backend.hub import Hub
from backend.inbox import deliveries
from backend.leads import actions
from backend.leads.queries import Filter, Lead, leads_page
from backend.store.database import Store

from . import demo_words as words
from .demo_acts import echo
from .demo_cast import BETA, DEMO, Cast

log = logging.getLogger(__name__)

CUSTOMERS, COLLEAGUES = (2.0, 6.0), (3.0, 8.0)
"""Seconds from one to the next."""

RECENT = 120
"""How many of the newest leads take part."""

ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}
"""Addresses to listen on → where to reach oneself then."""


async def traffic(hub: Hub) -> None:
    """Until cancelled: something new every few seconds. What goes wrong is logged and does not end it."""
    rng = Random()
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        await asyncio.gather(
            _again(hub, CUSTOMERS, rng, partial(_customer_writes, hub, client, rng)),
            _again(hub, COLLEAGUES, rng, partial(_colleague_works, hub, rng)),
        )


async def _again(hub: Hub, seconds: tuple[float, float], rng: Random, act: Callable[[], Awaitable[None]]) -> None:
    while True:
        await asyncio.sleep(rng.uniform(*seconds))
        if not hub.serving:
            continue
        try:
            await act()
        except HubError as refused:
            log.info("demo traffic was refused: %s", refused.message)
        except Exception:  # the show goes on: one act that stumbles must not end all of them
            log.exception("demo traffic stumbled")


async def _customer_writes(hub: Hub, client: httpx.AsyncClient, rng: Random) -> None:
    cast, store = await _somewhere(hub, rng)
    who = await _known(store, rng) if rng.random() < 0.75 else None
    customer = next(words.customers(rng))
    phone, name = who or (customer.phone, customer.name)
    text = customer.fill(rng.choice(words.ASKS if who else words.HELLOS))
    body = simulate.text_message(cast.phone, phone, name, text, hub.clock(), rng)
    status = await simulate.post(client, own_webhook(hub), hub.app_secret().encode(), body)
    if status != httpx.codes.OK:
        log.warning("a message of the demo traffic was answered with %d", status)


def own_webhook(hub: Hub) -> str:
    host = ANYWHERE.get(hub.settings.host, hub.settings.host)
    return f"http://{f'[{host}]' if ':' in host else host}:{hub.settings.port}/api/webhook/whatsapp"


async def _known(store: Store, rng: Random) -> tuple[str, str] | None:
    """(phone digits, name) of somebody who wrote before."""
    leads = await _leads(store, Viewer.system("demo"))
    known = [lead.row for lead in leads if lead.row.last_message and (lead.row.phone or "").startswith("+")]
    chosen = rng.choice(known) if known else None
    return (str(chosen.phone)[1:], chosen.name) if chosen else None


async def _colleague_works(hub: Hub, rng: Random) -> None:
    """A salesperson answers whom he has let wait, or logs a call or note, or moves a lead a step on."""
    cast, store = await _somewhere(hub, rng)
    people = await store.read(people_of)
    sellers = [p for p in people.by_id.values() if p.role == Role.SALESPERSON and p.state == "active"]
    viewer = Viewer.of(rng.choice(sellers), people)
    leads = [lead for lead in await _leads(store, viewer) if lead.row.status in OPEN]
    own = [lead for lead in leads if lead.row.salesperson_id == viewer.person_id]
    if not own:
        return
    waiting = [lead for lead in own if lead.row.waiting_since and (lead.row.phone or "").startswith("+")]
    if waiting and rng.random() < 0.5:
        await _answer(hub, store, cast, min(waiting, key=lambda lead: lead.row.waiting_since or 0), rng)
    elif rng.random() < 0.6:
        await _log(store, viewer, rng.choice(own), rng)
    else:
        await _move(store, viewer, rng.choice(own), rng)


async def _answer(hub: Hub, store: Store, cast: Cast, lead: Lead, rng: Random) -> None:
    """Typed on the company's phone, so the provider tells us of it."""
    text = rng.choice(words.ANSWERS).format(first=lead.row.name.split()[0])
    body = echo(cast.phone, (lead.row.phone or "").removeprefix("+"), text, hub.clock(), rng)
    numbered = deliveries.number(whatsapp.read(body, hub.clock()))
    await store.write(deliveries.receive, whatsapp.name, body, numbered)


async def _log(store: Store, viewer: Viewer, lead: Lead, rng: Random) -> None:
    if rng.random() < 0.5:
        await store.write(actions.log_activity, viewer, lead.row.id, "note", text=rng.choice(words.NOTES))
        return
    text, outcome, minutes = rng.choice(words.CALLS)
    await store.write(actions.log_activity, viewer, lead.row.id, "call", text=text, outcome=outcome, minutes=minutes)


async def _move(store: Store, viewer: Viewer, lead: Lead, rng: Random) -> None:
    """One step on; now and then, where he has come far enough, to a good end."""
    row = lead.row
    to = next(iter(OPEN[OPEN.index(Status(row.status)) + 1 :]), Status.WON)
    await store.write(
        actions.move, viewer, row.id, to, version=row.version, firm_name=None if row.firm_name else f"{row.name} & Co"
    )


async def _somewhere(hub: Hub, rng: Random) -> tuple[Cast, Store]:
    cast = BETA if rng.random() < 0.2 else DEMO
    store = await hub.company(cast.slug)
    if store is None:
        raise LookupError(f"the demo company {cast.slug} is not there")
    return cast, store


async def _leads(store: Store, viewer: Viewer) -> tuple[Lead, ...]:
    return (await store.read(leads_page, viewer, Filter(), limit=RECENT)).items
