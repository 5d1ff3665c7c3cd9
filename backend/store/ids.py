"""Ids and times. An id is a 63-bit integer that sorts by the moment it was made; JSON carries it as a string (2^53)."""

import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], int]
"""Microseconds since 1970, UTC. Everything that needs the time is given one, so that tests and the demo can drive it."""

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR

EPOCH_MS = 1_600_000_000_000
_NODE_BITS, _COUNTER_BITS = 10, 12


def wall_clock() -> int:
    return time.time_ns() // 1000


class Ids:
    """Makes ids: 41 bits of milliseconds since 2020-09-13, 10 bits of node, 12 bits of counter. Thread-safe.

    The milliseconds follow `clock`; a burst beyond 4,096 in one millisecond borrows from the next.
    """

    def __init__(self, clock: Clock, node: int = 0) -> None:
        self._clock, self._node = clock, node << _COUNTER_BITS
        self._last = (0, 0)
        self._lock = threading.Lock()

    def __call__(self) -> int:
        ms = self._clock() // 1000 - EPOCH_MS
        with self._lock:
            last, counter = self._last
            if ms > last or ms < last - 60_000:  # a driven clock may be set back by more than real clocks drift
                counter = 0
            else:
                ms, counter = (last, counter + 1) if counter < 4095 else (last + 1, 0)
            self._last = ms, counter
        return ms << (_NODE_BITS + _COUNTER_BITS) | self._node | counter


def first_id_at(at: int) -> int:
    """The smallest id that could have been made at `at` (microseconds) or later: turns a time range into a range of ids."""
    return max(0, at // 1000 - EPOCH_MS) << (_NODE_BITS + _COUNTER_BITS)


def rfc3339(at: int) -> str:
    """`2026-11-20T23:10:04.512345Z`."""
    return datetime.fromtimestamp(at // SECOND, UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at % SECOND:06d}Z"


def microseconds(moment: datetime) -> int:
    """An aware datetime as microseconds UTC. Integers throughout: a float of 2026 has no microseconds left."""
    whole = moment.astimezone(UTC)
    return int(whole.replace(microsecond=0).timestamp()) * SECOND + whole.microsecond
