"""Meta's side of a test: bodies, signatures, posts, and what the hub kept of them."""

import itertools
from collections import Counter
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import Table, select

from backend.channels.simulate import sign
from backend.store.database import Store
from backend.store.tables import company_metadata, control_metadata
from backend.store.tables.inbox import conversations, message_states, messages, reactions, units
from backend.store.tables.leads import leads
from tests.world import ACCOUNTS, World, contents

Json = dict[str, Any]

SAMPLES = Path(__file__).parents[1] / "samples"
ROUTE = "/api/webhook/whatsapp"
PHONE = "447700900142"
SENT = 1_795_168_800
"""Seconds: when the samples say that they were sent; `Meta` moves the hub's clock a little beyond."""

_numbers = itertools.count(1)


def sample(name: str) -> bytes:
    return (SAMPLES / name).read_bytes()


def lines(name: str) -> list[bytes]:
    return sample(name).splitlines()


def delivery(*changes: Json) -> bytes:
    """The body of one POST."""
    return orjson.dumps({"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": list(changes)}]})


def change(*said: Any, company: str = "demo", account: str | None = None, **value: Any) -> Json:
    """One change with some messages, and whatever else is given."""
    metadata = {"phone_number_id": ACCOUNTS[company] if account is None else account}
    return {"field": "messages", "value": {"metadata": metadata, "messages": list(said)} | value}


def text(body: str = "hello", *, id: str | None = None, at: int = SENT, **members: Any) -> Json:
    """A text message by PHONE with an id of its own; members given as None are left out."""
    head = {"from": PHONE, "id": id or f"wamid.{next(_numbers)}", "timestamp": str(at), "type": "text"}
    item = head | {"text": {"body": body}} | {("from" if k == "from_" else k): v for k, v in members.items()}
    return {k: v for k, v in item.items() if v is not None}


def status(of: str, state: str, at: int = SENT, **members: Any) -> Json:
    return {"id": of, "status": state, "timestamp": str(at), "recipient_id": PHONE} | members


def statuses(*reports: Json, company: str = "demo") -> Json:
    return {"field": "messages", "value": {"metadata": {"phone_number_id": ACCOUNTS[company]}, "statuses": [*reports]}}


def echo(body: str = "our answer", *, id: str | None = None, at: int = SENT, to: str = PHONE) -> Json:
    """A change that tells of a text which one of us typed on the phone."""
    item = text(body, id=id, at=at, from_="442071838750", to=to)
    value = {"metadata": {"phone_number_id": ACCOUNTS["demo"]}, "message_echoes": [item]}
    return {"field": "smb_message_echoes", "value": value}


class Meta:
    """Posts to the real route, signed over the bytes it sends."""

    def __init__(self, world: World, client: httpx.AsyncClient) -> None:
        self.world = world
        self.client = client
        self.secret = world.hub.app_secret().encode()

    async def send(self, body: bytes, secret: bytes | None = None) -> httpx.Response:
        signature = sign(self.secret if secret is None else secret, body)
        return await self.client.post(ROUTE, content=body, headers={"X-Hub-Signature-256": signature})

    async def tell(self, *bodies: bytes) -> None:
        """Post each and insist on 200."""
        for body in bodies:
            answer = await self.send(body)
            assert answer.status_code == 200, answer.text

    async def says(self, *said: Any, company: str = "demo", **value: Any) -> None:
        """Messages in one POST of one company."""
        await self.tell(delivery(change(*said, company=company, **value)))

    # What was kept ---------------------------------------------------------------------------------------------------------

    async def leads(self, company: str = "demo") -> list[Json]:
        return await rows(self.world.stores[company], leads)

    async def messages(self, company: str = "demo") -> list[Json]:
        return await rows(self.world.stores[company], messages)

    async def conversations(self, company: str = "demo") -> list[Json]:
        return await rows(self.world.stores[company], conversations)

    async def states(self, company: str = "demo") -> dict[str, Json]:
        return {row["provider_id"]: row for row in await rows(self.world.stores[company], message_states)}

    async def reactions(self, company: str = "demo") -> dict[str, str]:
        return {row["target"]: row["emoji"] for row in await rows(self.world.stores[company], reactions)}

    async def units(self, company: str = "demo") -> list[Json]:
        return await rows(self.world.stores[company], units)

    async def outcomes(self, company: str = "demo") -> list[tuple[str, str, str | None]]:
        """(kind, state, reason) of every unit, in the order they came."""
        return [(unit["kind"], unit["state"], unit["reason"]) for unit in await self.units(company)]

    async def ledger(self, company: str = "demo") -> Json:
        client = await self.world.client("admin", company)
        answer = await client.get("/api/v1/webhooks/ledger")
        assert answer.status_code == 200, answer.text
        ledger: Json = answer.json()
        return ledger

    async def facts(self, company: str = "demo") -> Counter[str]:
        """How many facts there are of each kind."""
        journal = company_metadata.tables["journal"]
        return Counter(fact["kind"] for fact in await rows(self.world.stores[company], journal))

    async def unrouted(self) -> list[Json]:
        return await rows(self.world.hub.database.control, control_metadata.tables["unrouted"])

    def everything(self) -> dict[str, Any]:
        """Every row of every database: what a refusal must leave as it was."""
        stores = {**self.world.stores, "control": self.world.hub.database.control}
        return {name: contents(store) for name, store in stores.items()}


async def rows(store: Store, table: Table) -> list[Json]:
    """Every row by column name, in the order of the primary key."""
    found = await store.read(lambda rx: rx.all(select(table).order_by(*table.primary_key)))
    return [dict(zip((c.name for c in table.columns), row, strict=True)) for row in found]
