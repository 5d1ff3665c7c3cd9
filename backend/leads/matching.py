"""Is this the same person: provider ids and phone numbers → the lead that is known by them."""

from collections.abc import Iterable

from sqlalchemy import bindparam, select

from ..store.statements import prepare
from ..store.tables.leads import identities
from ..store.transactions import Rx

_KNOWN = prepare(
    select(identities.c.lead_id).where(identities.c.kind == bindparam("kind"), identities.c.value == bindparam("value"))
)


def known_by(rx: Rx, candidates: Iterable[tuple[str, str]]) -> int | None:
    """The lead of the first identity that anybody is known by; identities come best first."""
    for kind, value in candidates:
        lead_id: int | None = rx.value(_KNOWN, kind=kind, value=value)
        if lead_id is not None:
            return lead_id
    return None
