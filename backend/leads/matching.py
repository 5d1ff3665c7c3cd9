"""Is this the same person: provider ids and phone numbers → the lead that is known by them."""

from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from sqlalchemy import bindparam, select, union_all

from ..store.statements import Statement, prepare
from ..store.tables.leads import identities
from ..store.transactions import Rx

Identity = tuple[str, str]
"""(kind, value), as in the table `identities`."""


class Match(NamedTuple):
    """`lead_id` None: nobody is known by any of them. `unknown`: the identities that nobody is known by yet."""

    lead_id: int | None
    unknown: tuple[Identity, ...]


def match(rx: Rx, candidates: Sequence[Identity]) -> Match:
    """The lead of the first identity that anybody is known by; identities come best first."""
    params = {f"{name}{n}": part for n, pair in enumerate(candidates) for name, part in zip("kv", pair, strict=True)}
    known = (
        {(kind, value): lead for kind, value, lead in rx.all(_known(len(candidates)), **params)} if candidates else {}
    )
    lead_id = next((known[c] for c in candidates if c in known), None)
    return Match(lead_id, tuple(c for c in candidates if c not in known))


@lru_cache(16)
def _known(n: int) -> Statement:
    each = [
        _ONE.where(identities.c.kind == bindparam(f"k{i}"), identities.c.value == bindparam(f"v{i}")) for i in range(n)
    ]
    return prepare(union_all(*each))


_ONE = select(identities.c.kind, identities.c.value, identities.c.lead_id)
