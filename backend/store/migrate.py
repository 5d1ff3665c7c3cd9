"""Schemas at start: an older one is backed up and migrated under a lock, a newer one is refused with the reason."""

import fcntl
import sqlite3
from functools import lru_cache
from pathlib import Path
from typing import Literal

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, create_engine, event
from sqlalchemy.pool import NullPool

Kind = Literal["control", "company"]
HERE = Path(__file__).parent / "migrations"


class SchemaRefused(Exception):
    """This program can't use that database; the text says why and what to do."""


def upgrade(kind: Kind, path: Path) -> None:
    """Bring the database at `path` to this program's schema, creating it when absent. Safe with several processes at once."""
    if path.exists() and _revision(path) == _newest(kind):
        return
    with open(path.with_suffix(".lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        revision = _revision(path) if path.exists() else None
        if revision == _newest(kind):
            return
        if revision is not None:
            if revision not in _known(kind):
                raise SchemaRefused(
                    f"{path} was written by a newer Leadfloor (schema {revision}). Start that version, or restore a backup."
                )
            _keep_copy(path, revision)
        _migrate(kind, path)


def _migrate(kind: Kind, path: Path) -> None:
    engine = create_engine(f"sqlite:///{path}", poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _by_hand(connection: sqlite3.Connection, _: object) -> None:
        connection.isolation_level = (
            None  # or the driver commits before each DDL, and a failed migration stays half done
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")

    with engine.begin() as connection:
        config = _config(kind)
        config.attributes["connection"] = connection
        command.upgrade(config, "head")


def _keep_copy(path: Path, revision: str) -> None:
    copy = path.with_suffix(f".before-{revision}.bak")
    copy.unlink(missing_ok=True)
    connection = sqlite3.connect(path)
    connection.execute("VACUUM INTO ?", (str(copy),))
    connection.close()


def _revision(path: Path) -> str | None:
    connection = sqlite3.connect(path)
    try:
        row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
    except sqlite3.OperationalError:  # an empty file: a start that was killed before its first migration
        return None
    finally:
        connection.close()
    return row[0] if row else None


@lru_cache
def _newest(kind: Kind) -> str | None:
    return ScriptDirectory.from_config(_config(kind)).get_current_head()


@lru_cache
def _known(kind: Kind) -> frozenset[str]:
    return frozenset(s.revision for s in ScriptDirectory.from_config(_config(kind)).walk_revisions())


def _config(kind: Kind) -> Config:
    config = Config()
    config.set_main_option("script_location", str(HERE))
    config.set_main_option("version_locations", str(HERE / kind))
    config.set_main_option("path_separator", "os")
    return config
