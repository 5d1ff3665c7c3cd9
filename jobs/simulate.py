"""`main.py simulate`: realistic, signed webhooks to a running hub, so that the inbox works without an account at the provider."""

import argparse
import asyncio
import re
import time
from collections.abc import Iterator
from itertools import islice
from random import Random
from typing import NamedTuple
from urllib.parse import urlsplit

import httpx

from backend.channels import simulate
from backend.channels.simulate import Json
from backend.settings import Settings, UnsafeSettings
from backend.store.ids import wall_clock
from backend.store.secrets import Keys

from .demo_cast import DEMO

CHANNELS = ("whatsapp",)


class Letter(NamedTuple):
    """A message on its way: from whom, and what it says (one item of a `simulate.story`)."""

    phone: str
    name: str
    content: Json

    @property
    def line(self) -> str:
        kind = self.content["type"]
        return str(self.content["text"]["body"]) if kind == "text" else f"[{kind}]"


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--channel", choices=CHANNELS, default="whatsapp")
    parser.add_argument("--phone", help="write as this customer, with country code; else as somebody made up")
    parser.add_argument("--text", help="write this; else a believable story")
    parser.add_argument("--rate", type=float, default=2.0, help="messages a second (2)")
    parser.add_argument("--count", type=int, default=1, help="how many messages (1)")
    parser.add_argument("--url", help="the hub, or the full path of the webhook; else this machine's hub")
    parser.add_argument("--secret", help="the app secret to sign with; else that of this folder's hub")
    parser.add_argument("--account", default=DEMO.phone, help="the phone_number_id written to (the demo company's)")


def run(settings: Settings, args: argparse.Namespace) -> int:
    """Send, say what became of each message. 1 when any was not accepted; raises UnsafeSettings for what can't be done."""
    if args.rate <= 0 or args.count < 1:
        raise UnsafeSettings("--rate must be above 0 and --count at least 1.")
    url, secret = webhook(settings, args.url, args.channel), signing_secret(settings, args.secret)
    letters = list(islice(written(args.phone, args.text, Random()), args.count))
    started = time.monotonic()
    statuses = asyncio.run(_send_all(url, secret.encode(), args.account, letters, args.rate))
    accepted = statuses.count(httpx.codes.OK)
    print(f"{accepted} of {len(letters)} accepted by {url} in {time.monotonic() - started:.1f} s")
    return 0 if accepted == len(letters) else 1


def webhook(settings: Settings, given: str | None, channel: str) -> str:
    """The address to post to: what was given, with the webhook's path where it has none."""
    url = given or f"http://127.0.0.1:{settings.port}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UnsafeSettings(f"--url must be an http:// or https:// address, not {url!r}.")
    return url if parts.path.strip("/") else f"{parts.scheme}://{parts.netloc}/api/webhook/{channel}"


def signing_secret(settings: Settings, given: str | None) -> str:
    """As the hub knows it (`Hub.app_secret`): the one that is set, else in development the one derived from its key."""
    if given or settings.meta_app_secret:
        return given or settings.meta_app_secret
    kept = settings.data / "secret_key"
    if settings.production or not (settings.secret_key or kept.exists()):
        raise UnsafeSettings("There is no app secret to sign with: give --secret, or --data with the hub's folder.")
    return Keys(settings.secret_key or kept.read_text().strip()).derived("meta-app-secret").hex()


def written(phone: str | None, text: str | None, rng: Random) -> Iterator[Letter]:
    """Letters without end: one person's story after another's, or all of them by who has this phone."""
    digits = re.sub(r"[\s()+./-]", "", phone or "")
    if phone and not re.fullmatch(r"[0-9]{4,20}", digits):
        raise UnsafeSettings(f"--phone must be a number with its country code, not {phone!r}.")
    while True:
        number, name = (digits, simulate.person(Random(digits))[1]) if digits else simulate.person(rng)
        for content in [simulate.said(text)] if text else simulate.story(rng):
            yield Letter(number, name, content)


async def _send_all(url: str, secret: bytes, account: str, letters: list[Letter], rate: float) -> list[int]:
    rng = Random()
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client, asyncio.TaskGroup() as group:
        start = asyncio.get_running_loop().time()
        posts = []
        for number, letter in enumerate(letters):
            await asyncio.sleep(start + number / rate - asyncio.get_running_loop().time())
            body = simulate.message(account, letter.phone, letter.name, letter.content, wall_clock(), rng)
            posts.append(group.create_task(_send(client, url, secret, letter, body)))
    return [post.result() for post in posts]


async def _send(client: httpx.AsyncClient, url: str, secret: bytes, letter: Letter, body: bytes) -> int:
    status = await simulate.post(client, url, secret, body)
    print(f"{status or 'no answer':>9}  +{letter.phone} {letter.name}: {letter.line}", flush=True)
    return status
