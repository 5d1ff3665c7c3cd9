"""THE TABLE of the clock: what runs by itself in every company, and how often. A tick does a bounded piece of work and returns."""

from collections.abc import Callable
from typing import NamedTuple

from backend.access.scope import Viewer
from backend.inbox.deliveries import retry_due
from backend.leads.hierarchy import rekey_owed
from backend.store.answers import drop_old_answers
from backend.store.ids import DAY
from backend.store.journal import seal, trim_audience
from backend.store.transactions import Tx


class Tick(NamedTuple):
    """`action` is a bulk write of each open company, every `seconds`; it says how much it did."""

    name: str
    seconds: float
    action: Callable[[Tx], int]


def trim(tx: Tx) -> int:
    """Audience rows serve resume alone: seven days are enough."""
    return trim_audience(tx, tx.now - 7 * DAY)


def rekey(tx: Tx) -> int:
    return rekey_owed(tx, Viewer.system("hierarchy"))


CLOCK: tuple[Tick, ...] = (
    Tick("seal", 1, seal),
    Tick("retry_units", 2, retry_due),
    Tick("rekey", 2, rekey),
    Tick("trim_audience", 3600, trim),
    Tick("drop_answers", 3600, drop_old_answers),
)
