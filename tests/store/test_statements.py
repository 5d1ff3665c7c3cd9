"""Prepared statements: inserts that ignore, put or add."""

import sqlite3

import pytest
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table, UniqueConstraint, bindparam, select

from backend.store.statements import Statement, insert_into, prepare, upsert

things = Table(
    "things",
    MetaData(),
    Column("kind", String(8), primary_key=True),
    Column("n", Integer, primary_key=True),
    Column("name", String(40), nullable=False),
    Column("total", BigInteger),
    UniqueConstraint("name"),
)


@pytest.fixture
def connection() -> sqlite3.Connection:
    made = sqlite3.connect(":memory:", isolation_level=None)
    made.execute("CREATE TABLE things (kind TEXT, n INTEGER, name TEXT UNIQUE, total INTEGER, PRIMARY KEY (kind, n))")
    return made


def run(connection: sqlite3.Connection, statement: Statement, *row: object) -> int:
    params = dict(zip(("kind", "n", "name", "total"), row, strict=True))
    return connection.execute(statement.text, statement.bind(params)).rowcount


def rows(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
    return connection.execute("SELECT * FROM things ORDER BY kind, n").fetchall()


def test_an_insert_takes_every_column_and_refuses_a_second(connection: sqlite3.Connection) -> None:
    insert = insert_into(things)
    run(connection, insert, "a", 1, "x", None)
    assert rows(connection) == [("a", 1, "x", None)]
    with pytest.raises(sqlite3.IntegrityError):
        run(connection, insert, "a", 1, "y", None)


@pytest.mark.parametrize("second", [("a", 1, "y", 2), ("b", 9, "x", 2)])
def test_an_ignoring_insert_changes_nothing_by_whichever_key_it_is_there(
    connection: sqlite3.Connection, second: tuple[object, ...]
) -> None:
    insert = insert_into(things, ignore=True)
    assert run(connection, insert, "a", 1, "x", 1) == 1
    assert run(connection, insert, *second) == 0
    assert rows(connection) == [("a", 1, "x", 1)]


def test_an_upsert_puts_some_columns_and_adds_to_others(connection: sqlite3.Connection) -> None:
    settled = upsert(things, put=("name",), add=("total",))
    run(connection, settled, "a", 1, "x", 10)
    run(connection, settled, "a", 1, "y", -3)
    run(connection, settled, "a", 2, "z", 5)
    assert rows(connection) == [("a", 1, "y", 7), ("a", 2, "z", 5)]


def test_an_upsert_leaves_what_it_was_not_told_to_change(connection: sqlite3.Connection) -> None:
    run(connection, upsert(things, put=("name",)), "a", 1, "x", 10)
    run(connection, upsert(things, put=("name",)), "a", 1, "y", 99)
    assert rows(connection) == [("a", 1, "y", 10)]


def test_an_upsert_hit_by_another_unique_key_is_refused(connection: sqlite3.Connection) -> None:
    run(connection, upsert(things, put=("total",)), "a", 1, "x", 10)
    with pytest.raises(sqlite3.IntegrityError):
        run(connection, upsert(things, put=("total",)), "a", 2, "x", 10)


def test_literals_of_the_statement_and_parameters_of_the_call_meet(connection: sqlite3.Connection) -> None:
    run(connection, insert_into(things), "a", 1, "x", 10)
    found = prepare(select(things.c.n).where(things.c.kind == "a", things.c.name == bindparam("name")).limit(3))
    assert connection.execute(found.text, found.bind({"name": "x"})).fetchall() == [(1,)]
    assert connection.execute(found.text, found.bind({"name": "y"})).fetchall() == []
