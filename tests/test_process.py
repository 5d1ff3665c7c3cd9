"""The process from outside: killed at every point of a webhook's way, started four times at once, asked to stop."""

import asyncio
import contextlib
import os
import re
import signal
import sqlite3
import sys
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import httpx
import orjson
import pytest

from backend.access.scope import Viewer
from backend.channels.simulate import sign
from backend.channels.whatsapp import whatsapp
from backend.inbox import deliveries
from backend.leads import reach
from backend.store import journal
from backend.store.database import Database, Store
from backend.store.ids import Ids, wall_clock
from tests.kill_point import POINTS
from tests.world import ACCOUNTS, PASSWORD, within

ROOT = Path(__file__).parents[1]
APP_SECRET = "an app secret made up for tests"
ANSWERED = "answered"
"""Not a place in the hub: killed as soon as the sender has its 200."""


def environment() -> dict[str, str]:
    ours = {
        "LEADFLOOR_SECRET_KEY": "test " * 8,
        "LEADFLOOR_META_APP_SECRET": APP_SECRET,
        "LEADFLOOR_BCRYPT_ROUNDS": "4",
        "PYTHONPATH": str(ROOT),
    }
    return {k: v for k, v in os.environ.items() if not k.startswith("LEADFLOOR_")} | ours


class Program:
    """A started program, its lines of stdout one by one; whatever it says on stderr is kept in a file."""

    def __init__(self, process: asyncio.subprocess.Process, errors: Path) -> None:
        self.process = process
        self._errors = errors

    @property
    def errors(self) -> str:
        return self._errors.read_text()

    async def line(self, pattern: str) -> re.Match[str]:
        """The next line that matches. Fails when the program ends before it, or takes too long."""
        assert self.process.stdout

        async def look() -> re.Match[str]:
            while line := await self.process.stdout.readline():  # type: ignore[union-attr]
                if found := re.search(pattern, line.decode()):
                    return found
            raise AssertionError(f"it ended without saying {pattern}:\n{self.errors}")

        return await within(look())  # type: ignore[no-any-return]

    def tell(self, line: str) -> None:
        assert self.process.stdin
        self.process.stdin.write(f"{line}\n".encode())

    async def address(self) -> str:
        """Where the hub serves, once it does."""
        return (await self.line(r"Leadfloor is at (http://\S+)")).group(1)

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        return await within(self.process.wait())  # type: ignore[no-any-return]


@contextlib.asynccontextmanager
async def program(folder: Path, *args: str | Path) -> AsyncIterator[Program]:
    """Runs beside the folder, so that no `.env` of somebody's own is read; killed at the end if it still runs."""
    number = len(list(folder.parent.glob("errors*")))
    errors = folder.parent / f"errors{number}"
    with errors.open("w") as file:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *map(str, args)),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=file,
            cwd=folder.parent,
            env=environment(),
            start_new_session=True,
        )
    try:
        yield Program(process, errors)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # also what it has forked
        await process.wait()


def hub(folder: Path) -> contextlib.AbstractAsyncContextManager[Program]:
    return program(folder, ROOT / "main.py", "--data", folder, "--port", "0")


# Webhooks ------------------------------------------------------------------------------------------------------------------


@dataclass
class Webhook:
    """A body, the provider's ids of the messages in it, who wrote them, and whether a hub said 200 to it."""

    body: bytes
    messages: tuple[str, ...]
    phones: tuple[str, ...]
    acknowledged: bool = False

    async def send(self, client: httpx.AsyncClient, address: str) -> int:
        """The status; 0 when nobody answered."""
        headers = {"x-hub-signature-256": sign(APP_SECRET.encode(), self.body)}
        try:
            answer = await client.post(f"{address}/api/webhook/whatsapp", content=self.body, headers=headers)
        except httpx.TransportError:
            return 0
        self.acknowledged |= answer.status_code == 200
        return answer.status_code


def webhook(rng: Random, text: str) -> Webhook:
    """Somebody new and somebody who writes often, in one delivery with a report about a message of ours."""
    phones = (f"4477009{rng.randrange(10**5):05}", f"44770080000{rng.randrange(3)}")
    ids = tuple(f"wamid.{rng.randbytes(12).hex()}" for _ in phones)
    now = str(wall_clock() // 1_000_000)
    said = [
        {"from": phone, "id": wamid, "timestamp": now, "type": "text", "text": {"body": text}}
        for phone, wamid in zip(phones, ids, strict=True)
    ]
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "442071838750", "phone_number_id": ACCOUNTS["demo"]},
        "contacts": [{"profile": {"name": f"Person {p}"}, "wa_id": p} for p in phones],
        "messages": said,
        "statuses": [
            {"id": f"wamid.{rng.randbytes(9).hex()}", "status": "sent", "timestamp": now, "recipient_id": phones[0]}
        ],
    }
    entry = {"id": "990011223344556", "changes": [{"value": value, "field": "messages"}]}
    return Webhook(orjson.dumps({"object": "whatsapp_business_account", "entry": [entry]}), ids, phones)


# What must be true of the store --------------------------------------------------------------------------------------------


@contextlib.contextmanager
def store_of(folder: Path, slug: str = "demo") -> Iterator[Store]:
    """The store read from outside, while a hub runs or after it was killed."""
    database = Database(folder, wall_clock, Ids(wall_clock))
    with closing(Store(slug, database.company_file(slug), database)) as store:
        yield store


def check(folder: Path, sent: list[Webhook]) -> None:
    """Nothing acknowledged is lost, nothing is there twice or in part, and everything adds up."""
    with store_of(folder) as store:
        assert store.read_now(journal.check) == []
        assert store.read_now(reach.check) == []
        ledger = store.read_now(deliveries.ledger, Viewer.system("test"))
    with closing(sqlite3.connect(folder / "companies" / "demo.db")) as raw:
        messages = dict(raw.execute("SELECT provider_id, id FROM messages"))
        facts = [orjson.loads(b) for (b,) in raw.execute(RECEIVED)]
        bodies = dict(raw.execute("SELECT id, body FROM deliveries"))
        units = Counter(d for (d,) in raw.execute("SELECT delivery_id FROM units"))
        unread = dict(raw.execute("SELECT substr(phone, 2), unread FROM leads WHERE phone IS NOT NULL"))
        leads = raw.execute("SELECT count(*) FROM leads").fetchone()[0]
    stored = Counter(bodies.values())
    known: Counter[str] = Counter()
    for one in sent:
        there = [m in messages for m in one.messages]
        assert all(there) or not any(there), f"half of {one.messages} is there"
        assert all(there) == (stored[one.body] > 0), "messages without their bytes, or bytes without their messages"
        assert all(there) or not one.acknowledged, f"{one.messages} were acknowledged and are lost"
        known.update(one.phones if all(there) else ())
    assert set(messages) <= {m for one in sent for m in one.messages}
    assert sorted(f["message"] for f in facts) == sorted(messages.values()), "one fact for each message"
    assert unread == dict(known) and leads == len(known), "one lead for each person, each message counted once"
    received = {d: len(deliveries.number(whatsapp.read(body, wall_clock()))) for d, body in bodies.items()}
    assert received == dict(units) and ledger["received"] == sum(received.values())
    assert ledger["received"] == ledger["processed"] + ledger["ignored"], ledger


RECEIVED = "SELECT body FROM journal JOIN journal_body USING (number) WHERE kind = 'message.received'"


# Killed --------------------------------------------------------------------------------------------------------------------


@dataclass
class Rounds:
    """Hub after hub on one folder, each killed from outside in the middle of a webhook."""

    folder: Path
    launcher: Program
    client: httpx.AsyncClient
    sent: list[Webhook] = field(default_factory=list)
    rng: Random = field(default_factory=lambda: Random(1))
    acknowledged_at: Counter[str] = field(default_factory=Counter)

    async def kill_at(self, point: str) -> None:
        mark = f"the straw {len(self.sent)}"
        self.launcher.tell(f"hub\t{self.folder}\t{mark}\t{point}")
        pid = int((await self.launcher.line(r"^PID (\d+)")).group(1))
        address = await self.launcher.address()
        for before in self.sent[-4:]:  # the provider sends again what it got no answer to, and sometimes what it did
            assert await within(before.send(self.client, address)) == 200
        check(self.folder, self.sent)
        plain = [webhook(self.rng, "hello") for _ in range(3)]
        last = webhook(self.rng, mark)
        self.sent += [*plain, last]
        assert await within(plain[0].send(self.client, address)) == 200
        sending = [asyncio.create_task(one.send(self.client, address)) for one in (plain[1], last, plain[2])]
        if point == ANSWERED:
            await within(asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED))
        else:
            await self.launcher.line(f"^AT {point}$")
        os.kill(pid, signal.SIGKILL)
        self.launcher.tell("buried")
        await self.launcher.line("^BURIED$")
        await within(asyncio.gather(*sending))
        self.acknowledged_at[point] += last.acknowledged
        check(self.folder, self.sent)


async def killed(folder: Path, loops: int) -> None:
    """Points in turn; then a hub that is left alone gets everything once more, and nothing is there twice."""
    points = [*POINTS, ANSWERED]
    async with (
        program(folder, "-m", "tests.kill_point") as launcher,
        httpx.AsyncClient(timeout=20, trust_env=False) as client,
    ):
        rounds = Rounds(folder, launcher, client)
        for n in range(loops):
            await rounds.kill_at(points[n % len(points)])
    async with hub(folder) as last, httpx.AsyncClient(timeout=20, trust_env=False) as client:
        address = await last.address()
        for again in rounds.sent:
            assert await within(again.send(client, address)) == 200
        assert all(one.acknowledged for one in rounds.sent)
        check(folder, rounds.sent)
        assert await last.stop() == 0
    assert rounds.acknowledged_at["before commit"] == 0, "a 200 before the commit"


async def test_a_hub_killed_at_any_point_loses_nothing_it_acknowledged_and_doubles_nothing(folder: Path) -> None:
    await killed(folder, 20)


@pytest.mark.long
async def test_the_same_two_hundred_times(folder: Path) -> None:
    await killed(folder, 200)


# Started -------------------------------------------------------------------------------------------------------------------


async def test_of_four_hubs_on_one_folder_one_serves_and_three_say_why_not(folder: Path) -> None:
    async with contextlib.AsyncExitStack() as stack:
        hubs = [await stack.enter_async_context(hub(folder)) for _ in range(4)]
        ends = {asyncio.create_task(h.process.wait()): h for h in hubs}
        refused: list[Program] = []
        waiting = set(ends)
        while len(refused) < 3:
            done, waiting = await within(asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED))
            refused += [ends[task] for task in done]
        assert len(refused) == 3
        for other in refused:
            assert other.process.returncode == 2
            assert re.search(r"^leadfloor: The data folder \S+ is in use by ", other.errors, re.MULTILINE), other.errors
        (serving,) = [h for h in hubs if h not in refused]
        async with httpx.AsyncClient(trust_env=False) as client:
            ready = await client.get(f"{await serving.address()}/readyz")
            assert ready.status_code == 200, ready.text
        assert await serving.stop() == 0


async def test_a_taken_port_is_said_in_words(folder: Path, tmp_path: Path) -> None:
    taken = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port = str(taken.sockets[0].getsockname()[1])
    async with taken, program(folder, ROOT / "main.py", "--data", folder, "--port", port) as refused:
        assert await within(refused.process.wait()) == 2
        assert refused.errors.startswith(f"leadfloor: 127.0.0.1:{port} can't be listened on")


# Stopped -------------------------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def streaming(client: httpx.AsyncClient, address: str, token: str) -> AsyncIterator[AsyncIterator[str]]:
    """The lines of an open stream, from `ready` on."""
    headers = {"Authorization": f"Bearer {token}"}
    async with client.stream("GET", f"{address}/api/v1/stream", headers=headers) as answer:
        assert answer.status_code == 200
        lines = answer.aiter_lines()
        async for line in lines:
            if line == "event: ready":
                break
        yield lines


async def sign_in(client: httpx.AsyncClient, address: str, name: str) -> str:
    given = {"company": "demo", "username": name, "password": PASSWORD, "platform": "api"}
    answer = await client.post(f"{address}/api/v1/auth/login", json=given)
    assert answer.status_code == 200, answer.text
    token: str = answer.json()["access_token"]
    return token


async def test_asked_to_stop_it_says_goodbye_to_every_stream_and_ends_in_time_with_zero(folder: Path) -> None:
    names = ("admin", "sales1", "sales1", "guest1", "integration1")
    async with hub(folder) as serving, httpx.AsyncClient(timeout=20, trust_env=False) as client:
        address = await serving.address()
        tokens = {name: await within(sign_in(client, address, name)) for name in set(names)}
        async with contextlib.AsyncExitStack() as stack:
            streams = [await stack.enter_async_context(streaming(client, address, tokens[n])) for n in names]
            asked = asyncio.get_running_loop().time()
            serving.process.send_signal(signal.SIGTERM)
            said = await within(asyncio.gather(*(_rest(lines) for lines in streams)))
        assert await within(serving.process.wait()) == 0, serving.errors
        took = asyncio.get_running_loop().time() - asked
    assert said == [[{"v": 1, "reason": "shutdown", "retry_ms": 1500, "reconnect": True}]] * len(names)
    assert took < 5
    assert "Traceback" not in serving.errors, serving.errors


async def _rest(lines: AsyncIterator[str]) -> list[Any]:
    """What is said by `bye` events until the stream ends, properly and not by being cut off."""
    said, event = [], ""
    async for line in lines:
        if line.startswith("event: "):
            event = line.removeprefix("event: ")
        elif line.startswith("data: ") and event == "bye":
            said.append(orjson.loads(line.removeprefix("data: ")))
    return said


async def test_asked_to_stop_it_still_answers_what_it_has_taken_in(folder: Path) -> None:
    rng = Random(2)
    async with hub(folder) as serving, httpx.AsyncClient(timeout=20, trust_env=False) as client:
        address = await serving.address()
        sent = [webhook(rng, "hello") for _ in range(30)]
        sending = [asyncio.create_task(one.send(client, address)) for one in sent]
        await within(asyncio.wait(sending, return_when=asyncio.FIRST_COMPLETED))
        assert await serving.stop() == 0
        await within(asyncio.gather(*sending))
    assert any(one.acknowledged for one in sent)
    check(folder, sent)


async def test_a_stopped_hub_leaves_the_folder_to_the_next(folder: Path) -> None:
    for sent in (signal.SIGINT, signal.SIGTERM):
        async with hub(folder) as serving:
            await serving.address()
            serving.process.send_signal(sent)
            assert await within(serving.process.wait()) == 0, serving.errors
