"""Providers' webhooks: verified, routed, stored raw and processed in one transaction per company, 200 after the commit."""

import logging
from functools import lru_cache
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import PlainTextResponse, Response

from ..access import companies
from ..callers import hub_of
from ..channels.contract import Channel
from ..channels.whatsapp import whatsapp
from ..errors import NotAllowed, NotFound, NotSignedIn
from ..hub import Hub
from ..inbox import deliveries
from ..inbox.deliveries import Numbered
from ..store.secrets import Keys, SealBroken
from ..streams.sse import Receive, Scope, Send

log = logging.getLogger(__name__)

api = APIRouter(prefix="/api/webhook", tags=["webhooks"])
PUBLIC: dict[str, Any] = {"security": []}
MOST_BYTES = 3 * 1024 * 1024
"""Meta's largest webhook is 3 MB."""


@api.get("/whatsapp", openapi_extra=PUBLIC, response_class=PlainTextResponse, summary="Meta's handshake")
async def handshake(request: Request) -> Response:
    challenge = whatsapp.handshake(request.query_params, hub_of(request).verify_token())
    if challenge is None:
        raise NotAllowed("The verify token is not ours.")
    return PlainTextResponse(challenge)


class WhatsAppEndpoint:
    """`POST /api/webhook/whatsapp`, an ASGI application of its own: at a few thousand a second a framework's route costs more than

    reading the message.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        headers = request.headers.getlist("x-hub-signature-256")
        await deliver(hub_of(request), whatsapp, await request.body(), headers[0] if len(headers) == 1 else None)
        await PlainTextResponse("ok")(scope, receive, send)


OPENAPI: dict[str, Any] = {
    "tags": ["webhooks"],
    "summary": "Messages and statuses of WhatsApp",
    "description": "Signed by Meta over the raw bytes (`X-Hub-Signature-256`); 200 after the commit.",
    "responses": {
        "200": {"description": "Stored", "content": {"text/plain": {"example": "ok"}}},
        "401": {"description": "The signature does not match; nothing was stored"},
        "503": {"description": "The store is away; the provider tries again"},
    },
    "security": [],
}


async def deliver(hub: Hub, channel: Channel, raw: bytes, signature: str | None) -> None:
    """Everything that a POST of a provider does. Raises NotSignedIn unless the bytes are the provider's.

    Which secret signed decides which accounts may be spoken for: one company's app can't write to another's.
    """
    routes = hub.channel_routes[channel.name]
    opened: dict[bytes | None, bytes] = {None: hub.app_secret().encode()}
    opened |= {route.secret: _opened(hub.keys, route.secret) for route in routes.values() if route.secret}
    secrets = list(dict.fromkeys(opened.values()))  # two accounts of one app have the same, each sealed apart
    signed_by = channel.verify(raw, signature, secrets)
    if signed_by is None:
        raise NotSignedIn("The signature does not match.", code="bad_signature")
    found = channel.read(raw, hub.clock())
    by_company: dict[int, list[Numbered]] = {}
    strangers = [why for why in (found.broken, found.unowned) if why]
    for numbered in deliveries.number(found):
        route = routes.get(numbered.account)
        if route is None or opened[route.secret] != secrets[signed_by]:
            strangers.append(f"no company has the account {numbered.account[:64]}")
        else:
            by_company.setdefault(route.company_id, []).append(numbered)
    for company_id, units in by_company.items():
        try:
            store = await hub.database.company(company_id)
        except NotFound:
            strangers.append(f"the company of the account {units[0].account[:64]} is not active")
        else:
            await store.write(deliveries.receive, channel.name, raw, units)
    if strangers:
        await hub.database.control.write(companies.keep_unrouted, channel.name, strangers[0], raw)


@lru_cache(1024)
def _opened(keys: Keys, sealed: bytes) -> bytes:
    """The app secret that an account's webhooks are signed with."""
    try:
        return keys.unseal(sealed, "channel_routes.secret")
    except SealBroken as error:  # it signs nothing then; the accounts of everybody else go on
        log.error("the app secret of a channel account can't be opened: %s", error)
        return b""
