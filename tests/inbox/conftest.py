"""Fixtures of what comes in: Meta, and a fault of ours that can be switched on and off."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from backend.channels.contract import Said
from backend.inbox.actions import APPLY
from backend.store.transactions import Tx
from tests.world import World

from .meta import SENT, Meta


@pytest.fixture
async def meta(world: World) -> Meta:
    world.time.now = (SENT + 3600) * 1_000_000
    return Meta(world, await world.client())


class Fault:
    """While a word is among `words`, messages with it in their text make our own code fail; after their first write."""

    def __init__(self, real: Callable[..., Any]) -> None:
        self.words: set[str] = set()
        self.tries: list[str] = []
        self.error: Exception = ZeroDivisionError("a fault of ours")
        self._real = real

    def __call__(self, tx: Tx, channel: str, account: str, message: Said) -> Any:
        self.tries.append(message.text)
        outcome = self._real(tx, channel, account, message)
        if any(word in message.text for word in self.words):
            raise self.error
        return outcome


@pytest.fixture
def fault() -> Iterator[Fault]:
    """Our own code for messages, made to fail on demand."""
    real = APPLY[Said]
    APPLY[Said] = fault = Fault(real)
    yield fault
    APPLY[Said] = real
