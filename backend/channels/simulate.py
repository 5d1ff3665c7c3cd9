"""Webhooks as Meta would send them, for `main.py simulate` and for load: bodies built from a seed, signed, sent at a rate.

Nothing here reads webhooks (`whatsapp.py`) or knows the hub behind the url.
"""

import asyncio
import base64
import hmac
import json
from collections.abc import Iterable, Iterator
from hashlib import sha256
from random import Random
from typing import Any

import httpx

Json = dict[str, Any]

FIRST = ("Priya", "Sam", "Zoë", "Mateusz", "Amina", "José", "Chloe", "Ravi", "Siân", "Tunde", "प्रिया", "李娜")
LAST = ("Raman", "Okafor", "Müller", "Kowalski", "Hassan", "Álvarez", "Smith", "Patel", "Evans", "Adeyemi", "शर्मा")
HELLOS = ("Hello, is the evening course still open?", "price list please", "Hi! I saw your ad 🙂", "मुझे जानकारी चाहिए")
ASKS = ("Can I pay in instalments?", "When is the next intake?", "Are there classes on Saturdays?", "Where are you?")
THANKS = ("Thanks, that helps!", "Great, I’ll come on Friday.", "ok 👍", "Can someone call me after 5pm?")


def person(rng: Random) -> tuple[str, str]:
    """(phone digits, profile name) from the ranges kept free for fiction: Ofcom's 07700 900xxx, NANPA's 555-01xx."""
    area = rng.choice(("202", "212", "305", "312", "415", "617", "702", "808"))
    phone = rng.choice((f"447700900{rng.randrange(1000):03}", f"1{area}55501{rng.randrange(100):02}"))
    return phone, f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def story(rng: Random) -> Iterator[Json]:
    """What one person sends, message by message: a hello (some from an ad), questions of several kinds, a thank you."""
    ad = {"source_type": "ad", "source_id": f"1202{rng.randrange(10**14):014}", "headline": "Evening classes"}
    yield said(rng.choice(HELLOS)) | ({"referral": ad} if rng.random() < 0.2 else {})
    for _ in range(rng.randrange(4)):
        yield question(rng)
    if rng.random() < 0.5:
        yield said(rng.choice(THANKS))


def said(body: str) -> Json:
    return {"type": "text", "text": {"body": body}}


def question(rng: Random) -> Json:
    kind = rng.choice(("text", "text", "image", "document", "location", "interactive", "button"))
    file = {"id": f"{rng.randrange(10**15, 10**16)}", "sha256": base64.b64encode(rng.randbytes(32)).decode()}
    reply = rng.choice(({"id": "callback:yes", "title": "Call me"}, {"id": "callback:no", "title": "Not now"}))
    own: Json = {
        "text": {"body": rng.choice(ASKS)},
        "image": file | {"mime_type": "image/jpeg", "caption": "my transcript"},
        "document": file | {"mime_type": "application/pdf", "filename": f"CV – {rng.choice(FIRST)} (final).pdf"},
        "location": {"latitude": 51.5033, "longitude": -0.1276, "name": "Branch office"},
        "interactive": {"type": "button_reply", "button_reply": reply},
        "button": {"payload": "course:more", "text": "Tell me more"},
    }
    return {"type": kind, kind: own[kind]}


def text_message(account: str, phone: str, name: str, text: str, now: int, rng: Random) -> bytes:
    """The body of one plain text message; see `message`."""
    return message(account, phone, name, said(text), now, rng)


def message(
    account: str, phone: str, name: str, content: Json, now: int, rng: Random, *, hidden: bool = False
) -> bytes:
    """The body of a webhook with one message to `account` (a phone_number_id), `now` in microseconds UTC.

    `content` is one item of a `story`. `hidden`: the person has a user name and shows no phone number, only the user id
    that belongs to `phone`. Equal arguments and an equally seeded `rng` give equal bytes.
    """
    user = f"{'GB' if phone.startswith('44') else 'US'}.{int.from_bytes(sha256(phone.encode()).digest()[:8]):020}"
    shown = {} if hidden else {"from": phone}
    wamid = f"wamid.{base64.b64encode(rng.randbytes(24)).decode()}"
    head = shown | {"from_user_id": user, "id": wamid, "timestamp": str(now // 1_000_000)}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "442071838750", "phone_number_id": account},
        "contacts": [{"profile": {"name": name}, "user_id": user} | ({} if hidden else {"wa_id": phone})],
        "messages": [head | content],
    }
    entry = {"id": "990011223344556", "changes": [{"value": value, "field": "messages"}]}
    # Meta escapes all that is not ASCII and signs those very bytes, so a hub that re-writes JSON before checking is found out
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


def sign(secret: bytes, body: bytes) -> str:
    """The value of X-Hub-Signature-256 for exactly these bytes."""
    return f"sha256={hmac.new(secret, body, sha256).hexdigest()}"


async def send(
    url: str, secret: bytes, bodies: Iterable[bytes], rate: float, transport: httpx.AsyncBaseTransport | None = None
) -> list[int]:
    """POST each body, `rate` a second without waiting for answers; the HTTP statuses in order, 0 where nobody answered.

    `transport` replaces the network, for tests.
    """
    # a proxy from the environment would answer for the hub
    async with (
        httpx.AsyncClient(transport=transport, timeout=10, trust_env=False) as client,
        asyncio.TaskGroup() as group,
    ):
        start = asyncio.get_running_loop().time()
        posts = []
        for number, body in enumerate(bodies):
            await asyncio.sleep(start + number / rate - asyncio.get_running_loop().time())
            posts.append(group.create_task(post(client, url, secret, body)))
    return [task.result() for task in posts]


async def post(client: httpx.AsyncClient, url: str, secret: bytes, body: bytes) -> int:
    headers = {"Content-Type": "application/json", "X-Hub-Signature-256": sign(secret, body)}
    try:
        return (await client.post(url, content=body, headers=headers)).status_code
    except httpx.TransportError:
        return 0
