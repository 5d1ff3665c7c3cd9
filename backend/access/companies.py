"""Tenants: create one, find one, its settings, and which channel account belongs to it."""

import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, select, update

from ..errors import Conflict, Invalid
from ..events import SettingsChanged
from ..store.journal import Actor, people_changed, people_version, record
from ..store.statements import insert_into, prepare, upsert
from ..store.tables.control import channel_routes, companies, unrouted
from ..store.tables.spine import settings
from ..store.transactions import Rx, Tx

FEWEST, POOL = "fewest", "pool"


@dataclass(frozen=True, slots=True)
class CompanySettings:
    """`inbound`: a new lead goes to the salesperson with the `fewest` open ones, or stays in the `pool`.

    `pool_open`: managers and customer success see leads that nobody owns. `region` (ISO 3166) reads phone numbers that people
    type without a country; "" reads none.
    """

    inbound: str = POOL
    pool_open: bool = True
    region: str = ""
    currency: str = "EUR"
    zone: str = "UTC"


_SETTINGS = prepare(select(settings.c.name, settings.c.value))
_SET = upsert(settings, put=("value",))


def settings_of(rx: Rx) -> CompanySettings:
    return rx.cached("settings", people_version(rx), _load_settings)


def _load_settings(rx: Rx) -> CompanySettings:
    known = {f.name for f in fields(CompanySettings)}
    return CompanySettings(**{name: orjson.loads(value) for name, value in rx.all(_SETTINGS) if name in known})


def change_settings(tx: Tx, actor: Actor, **given: Any) -> CompanySettings:
    """Change some settings. What decides reach (`pool_open`) goes through `leads.hierarchy.change_settings`."""
    before = settings_of(tx)
    after = replace(before, **given)
    if after.inbound not in (FEWEST, POOL):
        raise Invalid("New leads go to the fewest or stay in the pool.", field="inbound")
    old, new = asdict(before), asdict(after)
    changes = {name: [old[name], new[name]] for name in given if old[name] != new[name]}
    for name in changes:
        tx.run(_SET, name=name, value=orjson.dumps(new[name]).decode())
    people_changed(tx)
    record(tx, actor, SettingsChanged(changes=changes))
    return after


# In the control database ---------------------------------------------------------------------------------------------------


class Company(NamedTuple):
    id: int
    slug: str
    name: str
    state: str
    created_at: int


_COMPANIES = prepare(select(companies).order_by(companies.c.id))
_BY_SLUG = prepare(select(companies).where(companies.c.slug == bindparam("slug")))
_ADD = insert_into(companies)
_STATE = prepare(update(companies).where(companies.c.id == bindparam("b_id")).values(state=bindparam("state")))


def every_company(rx: Rx) -> list[Company]:
    return [Company(*row) for row in rx.all(_COMPANIES)]


def by_slug(rx: Rx, slug: str) -> Company | None:
    row = rx.one(_BY_SLUG, slug=slug.strip().casefold())
    return Company(*row) if row else None


def create(tx: Tx, slug: str, name: str) -> Company:
    """A new tenant in the control database, not yet active: its own database comes next, then `activate`.

    Running it again for one that was left half made goes on from there.
    """
    if not re.fullmatch(r"[a-z][a-z0-9-]{1,38}[a-z0-9]", slug):
        raise Invalid(
            "A company's short name has 3 to 40 letters, digits and hyphens, and begins with a letter.", field="slug"
        )
    there = by_slug(tx, slug)
    if there is None:
        there = Company(tx.id(), slug, name, "created", tx.now)
        tx.run(_ADD, **there._asdict())
    elif there.state != "created":
        raise Conflict(f"There is a company {slug} already.", code="exists")
    return there


def activate(tx: Tx, company_id: int) -> None:
    tx.run(_STATE, b_id=company_id, state="active")


_ROUTE = prepare(
    select(channel_routes.c.company_id, channel_routes.c.secret).where(
        channel_routes.c.channel == bindparam("channel"), channel_routes.c.account == bindparam("account")
    )
)
_ROUTES = prepare(select(channel_routes).where(channel_routes.c.channel == bindparam("channel")))
_PUT_ROUTE = upsert(channel_routes, put=("company_id", "secret"))
_UNROUTED = insert_into(unrouted)


class Route(NamedTuple):
    channel: str
    account: str
    company_id: int
    secret: bytes | None


def routes(rx: Rx, channel: str) -> dict[str, Route]:
    """Account → route, for every account of a channel in this deployment."""
    return {row[1]: Route(*row) for row in rx.all(_ROUTES, channel=channel)}


def route_channel(tx: Tx, channel: str, account: str, company_id: int, secret: bytes | None) -> None:
    """Give a channel account to a company. `secret` is sealed; None means the deployment's own app secret."""
    row = tx.one(_ROUTE, channel=channel, account=account)
    if row and row[0] != company_id:
        raise Conflict("That account belongs to another company.", code="account_taken")
    tx.run(_PUT_ROUTE, channel=channel, account=account, company_id=company_id, secret=secret)


def keep_unrouted(tx: Tx, channel: str, reason: str, body: bytes) -> None:
    """Authentic bytes that no company can be found for: for the operator to look at, never thrown away."""
    tx.run(_UNROUTED, id=tx.id(), channel=channel, received_at=tx.now, reason=reason, body=body)
