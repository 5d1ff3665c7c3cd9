"""SQL written once in SQLAlchemy Core, compiled once per database, and driver text ever after.

Compiling is a third of what a small statement costs, so what runs often is prepared at import:

    LEAD = prepare(select(leads).where(leads.c.id == bindparam("id")))
    tx.one(LEAD, id=88)

On this path there are no IN lists and no result types: columns are integers, text and bytes only.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Table, insert
from sqlalchemy.dialects import sqlite
from sqlalchemy.engine import Dialect
from sqlalchemy.sql.expression import Executable

SQLITE: Dialect = sqlite.dialect(paramstyle="named")


class Statement:
    """A prepared statement: its text and the literals it carries, for one dialect."""

    __slots__ = ("literals", "text")

    def __init__(self, core: Executable, columns: Iterable[str] | None = None, dialect: Dialect = SQLITE) -> None:
        compiled = core.compile(  # type: ignore[attr-defined]
            dialect=dialect,
            column_keys=list(columns) if columns is not None else None,
            compile_kwargs={"render_postcompile": True},
        )
        self.text: str = compiled.string
        self.literals: dict[str, Any] = {k: v for k, v in compiled.params.items() if v is not None}

    def bind(self, params: Mapping[str, Any]) -> Mapping[str, Any]:
        return {**self.literals, **params} if self.literals else params


def prepare(core: Executable, columns: Iterable[str] | None = None) -> Statement:
    return Statement(core, columns)


def insert_into(table: Table, *, ignore: bool = False) -> Statement:
    """INSERT of every column; with `ignore`, a row that is already there (by any unique key) changes nothing."""
    columns = [c.name for c in table.columns]
    if ignore:
        return Statement(sqlite.insert(table).on_conflict_do_nothing(), columns)
    return Statement(insert(table), columns)


def upsert(table: Table, *, put: Iterable[str] = (), add: Iterable[str] = ()) -> Statement:
    """INSERT of every column; where the primary key is there already, `put` columns are replaced and `add` columns summed."""
    row = sqlite.insert(table)
    changes = {name: row.excluded[name] for name in put} | {name: table.c[name] + row.excluded[name] for name in add}
    settled = row.on_conflict_do_update(index_elements=list(table.primary_key), set_=changes)
    return Statement(settled, [c.name for c in table.columns])
