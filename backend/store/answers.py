"""A write and its answer, in one transaction: with an Idempotency-Key the answer is kept, and the same call gets it again.

The answer is made at the commit, when the facts have their numbers, so it is there after a crash exactly when its work is.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
from sqlalchemy import bindparam, delete, select

from ..errors import Invalid
from .ids import DAY
from .statements import insert_into, prepare
from .tables.spine import idempotency
from .transactions import Tx

KEPT = DAY


class Key(NamedTuple):
    person_id: int
    key: str
    digest: bytes


@dataclass(slots=True)
class Answer:
    status: int
    body: bytes = b""


Render = Callable[[Tx, Any], dict[str, Any]]

_GIVEN = prepare(
    select(idempotency.c.digest, idempotency.c.status, idempotency.c.body, idempotency.c.at).where(
        idempotency.c.person_id == bindparam("person"), idempotency.c.key == bindparam("key")
    )
)
_KEEP = insert_into(idempotency)
_DROP = prepare(
    delete(idempotency).where(idempotency.c.person_id == bindparam("person"), idempotency.c.key == bindparam("key"))
)
_DROP_OLD = prepare(delete(idempotency).where(idempotency.c.at < bindparam("before")))


class Answers:
    """The answers that a transaction owes its callers."""

    order = 95  # after the journal: an answer names its fact

    def __init__(self, tx: Tx) -> None:
        self.tx = tx
        self.owed: list[tuple[Answer, Any, Render, Key | None]] = []

    def mark(self) -> int:
        return len(self.owed)

    def reset(self, mark: int) -> None:
        del self.owed[mark:]

    def given(self, key: Key) -> tuple[Answer, Key] | None:
        return next(((a, k) for a, _, _, k in self.owed if k and k[:2] == key[:2]), None)

    def flush(self) -> None:
        for answer, value, render, key in self.owed:
            answer.body = orjson.dumps(render(self.tx, value))
            if key is not None:
                self.tx.run(_KEEP, **key._asdict(), status=answer.status, body=answer.body, at=self.tx.now)


def answered(
    tx: Tx, key: Key | None, status: int, render: Render, action: Callable[..., Any], *args: Any, **kwargs: Any
) -> Answer:
    """Run the action, or, for a key that was used before, give its answer again. Another body under that key: Invalid."""
    if key is not None and (before := _before(tx, key)) is not None:
        return before
    value = action(tx, *args, **kwargs)
    answer = Answer(status)
    tx.owes(Answers).owed.append((answer, value, render, key))
    return answer


def _before(tx: Tx, key: Key) -> Answer | None:
    pending = tx.owes(Answers).given(key)
    if pending is not None:
        _same(pending[1].digest, key)
        return pending[0]
    row = tx.one(_GIVEN, person=key.person_id, key=key.key)
    if row is None:
        return None
    digest, status, body, at = row
    if at < tx.now - KEPT:
        tx.run(_DROP, person=key.person_id, key=key.key)
        return None
    _same(digest, key)
    return Answer(status, body)


def _same(digest: bytes, key: Key) -> None:
    if digest != key.digest:
        raise Invalid("This Idempotency-Key was used for another request.", code="idempotency_mismatch")


def drop_old_answers(tx: Tx) -> int:
    return tx.run(_DROP_OLD, before=tx.now - KEPT)
