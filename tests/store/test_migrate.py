"""Schemas at start: created, migrated with a copy kept, refused; also by several processes at once."""

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from subprocess import PIPE

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import MetaData, create_engine

from backend.store import migrate
from backend.store.migrate import Kind, SchemaRefused, upgrade
from backend.store.tables import company_metadata, control_metadata, inbox, leads, people, spine
from backend.store.tables import control as control_tables
from tests.world import DEADLINE

ROOT = Path(__file__).parents[2]
assert all((control_tables, inbox, leads, people, spine))  # imported so that the metadata is complete

MORE = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "company_more", "{below}"

def upgrade():
    op.create_table("extras", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("UPDATE settings SET value = '\\"fewer\\"' WHERE name = 'inbound'")
    {then}
"""


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def revision(path: Path) -> object:
    return ask(path, "SELECT version_num FROM alembic_version")[0][0]


def tables(path: Path) -> set[object]:
    return {row[0] for row in ask(path, "SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.fixture
def newest() -> str:
    """The revision of this program's company schema."""
    found = migrate._newest("company")
    assert found
    return found


@pytest.fixture
def next_version(tmp_path: Path, newest: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A program one revision ahead: a copy of the migrations, whose next revision the test writes into `more.py`."""
    shutil.copytree(migrate.HERE, tmp_path / "migrations")
    more = tmp_path / "migrations" / "company" / "more.py"
    more.write_text(MORE.format(below=newest, then=""))
    monkeypatch.setattr(migrate, "HERE", tmp_path / "migrations")
    _forget()
    yield more
    _forget()


def _forget() -> None:
    migrate._newest.cache_clear()
    migrate._known.cache_clear()


@pytest.mark.parametrize(("kind", "metadata"), [("control", control_metadata), ("company", company_metadata)])
def test_the_migrations_make_exactly_the_tables_of_the_code(tmp_path: Path, kind: Kind, metadata: MetaData) -> None:
    upgrade(kind, tmp_path / "new.db")
    with create_engine(f"sqlite:///{tmp_path / 'new.db'}").connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_a_current_schema_is_left_alone(folder: Path) -> None:
    path = folder / "companies" / "demo.db"
    before = path.read_bytes()
    upgrade("company", path)
    assert path.read_bytes() == before and not list(folder.rglob("*.bak"))


def test_a_start_killed_before_its_first_migration_is_taken_up_again(tmp_path: Path) -> None:
    (tmp_path / "new.db").touch()
    upgrade("company", tmp_path / "new.db")
    assert {"journal", "leads"} <= tables(tmp_path / "new.db")
    assert not list(tmp_path.glob("*.bak"))


def test_an_older_schema_is_copied_and_then_migrated(folder: Path, newest: str, next_version: Path) -> None:
    path = folder / "companies" / "demo.db"
    people = ask(path, "SELECT * FROM people")
    upgrade("company", path)
    assert revision(path) == "company_more" and "extras" in tables(path)
    assert ask(path, "SELECT value FROM settings WHERE name = 'inbound'") == [('"fewer"',)]
    assert ask(path, "SELECT * FROM people") == people
    copy = path.with_name(f"demo.before-{newest}.bak")
    assert revision(copy) == newest and "extras" not in tables(copy) and ask(copy, "SELECT * FROM people") == people


def test_a_migration_that_fails_leaves_the_database_as_it_was(folder: Path, newest: str, next_version: Path) -> None:
    path = folder / "companies" / "demo.db"
    next_version.write_text(MORE.format(below=newest, then="raise RuntimeError('half way')"))
    with pytest.raises(RuntimeError, match="half way"):
        upgrade("company", path)
    assert revision(path) == newest and "extras" not in tables(path)
    assert ask(path, "SELECT value FROM settings WHERE name = 'inbound'") == [('"fewest"',)]
    next_version.write_text(MORE.format(below=newest, then=""))
    upgrade("company", path)
    assert revision(path) == "company_more"


def test_a_newer_schema_is_refused_with_the_reason_and_left_alone(folder: Path) -> None:
    path = folder / "companies" / "demo.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'company_9999'")
        connection.commit()
    with pytest.raises(SchemaRefused, match=r"demo\.db was written by a newer Leadfloor \(schema company_9999\)"):
        upgrade("company", path)
    assert revision(path) == "company_9999" and not list(folder.rglob("*.bak"))


def test_two_processes_may_migrate_the_same_database_at_once(tmp_path: Path, newest: str) -> None:
    """Both have looked for their newest revision, and say so, before either begins."""
    path = tmp_path / "new.db"
    code = (
        "import sys, pathlib; from backend.store import migrate; migrate._newest('company'); print('ready', flush=True)\n"
        "sys.stdin.readline(); migrate.upgrade('company', pathlib.Path(sys.argv[1]))"
    )
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(path)], cwd=ROOT, stdin=PIPE, stdout=PIPE, stderr=PIPE)
        for _ in range(2)
    ]
    for process in started:
        assert process.stdout and process.stdout.readline() == b"ready\n"
    for process in started:
        assert process.stdin
        process.stdin.write(b"go\n")
        process.stdin.flush()
    ended = [(process.communicate(timeout=DEADLINE)[1], process.returncode) for process in started]
    assert ended == [(b"", 0)] * 2
    assert revision(path) == newest and "journal" in tables(path)
