"""The operator's commands on a data folder: backup, restore, verify, company, migrate."""

import argparse
import asyncio
import shutil
import sqlite3
import tarfile
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import main
from backend.hub import held
from backend.settings import Settings, UnsafeSettings
from backend.store import migrate as schemas
from jobs import operator
from tests.world import World, a_world

KEY = "test " * 8


def settings(folder: Path) -> Settings:
    return Settings(data=folder, bcrypt_rounds=4, secret_key=KEY)


def run(command: Any, folder: Path, **args: Any) -> int:
    return command(settings(folder), argparse.Namespace(**args))  # type: ignore[no-any-return]


def ask(path: Path, query: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for statement in statements:
            connection.execute(statement)


def told(folder: Path, slug: str = "demo") -> dict[str, list[tuple[Any, ...]]]:
    """Everything that a company's people would miss."""
    path = folder / "companies" / f"{slug}.db"
    tables = ("leads", "people", "lead_access", "lead_counts", "journal", "journal_body", "messages", "deliveries")
    return {table: ask(path, f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables}


def epochs(folder: Path) -> dict[str, str]:
    return {p.stem: ask(p, "SELECT epoch FROM head")[0][0] for p in (folder / "companies").glob("*.db")}


@pytest.fixture
def busy(folder: Path) -> Path:
    """A folder in which both companies have leads and a message."""

    async def work(world: World) -> None:
        await world.owned("sales1", firm_name="Acme", value=500)
        await world.lead("admin", firm_name="Initech")
        await world.lead("admin", company="beta", firm_name="Globex")

    async def fill() -> None:
        async with a_world(folder) as world:
            world.time.forward(3600)
            await work(world)

    asyncio.run(fill())
    return folder


@pytest.fixture
def saved(busy: Path, tmp_path: Path) -> Path:
    """A backup of it."""
    assert run(operator.backup, busy, file=tmp_path / "floor.tar.gz") == 0
    return tmp_path / "floor.tar.gz"


# Backup --------------------------------------------------------------------------------------------------------------------


def test_a_backup_holds_the_databases_and_no_secret(busy: Path, tmp_path: Path) -> None:
    (busy / "secret_key").write_text("the deployment's own key")
    (busy / "demo_password").write_text("the demo's own password")
    file = tmp_path / "floor.tar.gz"
    assert run(operator.backup, busy, file=file) == 0
    with tarfile.open(file) as archive:
        assert sorted(archive.getnames()) == ["companies/beta.db", "companies/demo.db", "control.db"]
        held_bytes = b"".join(archive.extractfile(m).read() for m in archive.getmembers())  # type: ignore[union-attr]
    assert not any(
        secret in held_bytes for secret in (b"the deployment's own key", b"the demo's own password", KEY.encode())
    )
    assert file.stat().st_mode & 0o777 == 0o600


def test_a_backup_does_not_overwrite_another(busy: Path, saved: Path) -> None:
    before = saved.read_bytes()
    with pytest.raises(UnsafeSettings, match="can't be written"):
        run(operator.backup, busy, file=saved)
    assert saved.read_bytes() == before


def test_a_backup_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UnsafeSettings, match="nothing to back up"):
        run(operator.backup, tmp_path / "empty", file=tmp_path / "floor.tar.gz")
    assert not (tmp_path / "floor.tar.gz").exists()


async def test_a_backup_is_taken_while_the_hub_runs(world: World, tmp_path: Path) -> None:
    world.time.forward(3600)
    lead = (await world.owned("sales1", firm_name="Just committed")).lead
    await asyncio.to_thread(run, operator.backup, world.hub.settings.data, file=tmp_path / "floor.tar.gz")
    with tarfile.open(tmp_path / "floor.tar.gz") as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    assert ask(tmp_path / "unpacked" / "companies" / "demo.db", "SELECT id FROM leads") == [(lead.id,)]


# Restore -------------------------------------------------------------------------------------------------------------------


def test_what_is_restored_is_what_was_backed_up_under_another_epoch(busy: Path, saved: Path, tmp_path: Path) -> None:
    folder = tmp_path / "restored"
    assert run(operator.restore, folder, file=saved) == 0
    assert {s: told(folder, s) for s in ("demo", "beta")} == {s: told(busy, s) for s in ("demo", "beta")}
    assert len(told(folder)["leads"]) == 2 and len(told(folder, "beta")["leads"]) == 1
    before, after = epochs(busy), epochs(folder)
    assert before.keys() == after.keys() and all(before[slug] != after[slug] for slug in before)
    assert run(operator.verify, folder) == 0


def test_a_suspended_company_is_restored_under_another_epoch_too(busy: Path, tmp_path: Path) -> None:
    change(busy / "control.db", "UPDATE companies SET state = 'suspended' WHERE slug = 'beta'")
    run(operator.backup, busy, file=tmp_path / "floor.tar.gz")
    assert run(operator.restore, tmp_path / "restored", file=tmp_path / "floor.tar.gz") == 0
    assert epochs(tmp_path / "restored")["beta"] != epochs(busy)["beta"]


@pytest.mark.parametrize("there", ["control.db", "companies/demo.db-wal", "notes.txt"])
def test_a_folder_that_is_not_empty_is_not_restored_into(saved: Path, tmp_path: Path, there: str) -> None:
    folder = tmp_path / "restored"
    (folder / there).parent.mkdir(parents=True)
    (folder / there).write_text("somebody's own")
    with pytest.raises(UnsafeSettings, match="is not empty"):
        run(operator.restore, folder, file=saved)
    assert (folder / there).read_text() == "somebody's own" and not list(folder.rglob("beta.db"))


@pytest.mark.parametrize("content", [b"", b"not an archive", None])
def test_what_is_no_backup_is_refused_and_leaves_the_folder_empty(tmp_path: Path, content: bytes | None) -> None:
    file, folder = tmp_path / "floor.tar.gz", tmp_path / "restored"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UnsafeSettings, match=r"floor\.tar\.gz"):
        run(operator.restore, folder, file=file)
    assert [p.name for p in folder.iterdir()] == ["hub.lock"]


def test_a_backup_cut_short_is_refused_and_leaves_the_folder_empty(saved: Path, tmp_path: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-2000])
    with pytest.raises(UnsafeSettings, match="can't be read"):
        run(operator.restore, tmp_path / "restored", file=saved)
    assert [p.name for p in (tmp_path / "restored").iterdir()] == ["hub.lock"]


@pytest.mark.parametrize("kept", [True, False])
def test_a_restore_says_when_the_secret_key_is_missing(
    saved: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], kept: bool
) -> None:
    folder = tmp_path / "restored"
    folder.mkdir()
    if kept:
        (folder / "secret_key").write_text("the old key")
    own = Settings(data=folder, bcrypt_rounds=4)
    assert operator.restore(own, argparse.Namespace(file=saved)) == 0
    assert ("put the old one in its place" in capsys.readouterr().out) is not kept
    assert ((folder / "secret_key").read_text() == "the old key") is kept


# Verify --------------------------------------------------------------------------------------------------------------------


def test_verify_finds_a_whole_folder_whole(busy: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(operator.verify, busy) == 0
    said = capsys.readouterr()
    assert "demo: journal, reach and counts are whole" in said.out and "beta: journal" in said.out and not said.err


@pytest.mark.parametrize(
    ("statements", "sentence"),
    [
        (["DELETE FROM lead_access WHERE key LIKE 'sp:%'"], "access is"),
        (["UPDATE lead_counts SET n = n + 1 WHERE key = 'all'"], "count of all"),
        (["INSERT INTO lead_access VALUES ('sp:1', 4711, 'new', 0)"], "access rows without a lead"),
        (["DROP TRIGGER journal_no_update", "UPDATE journal SET actor = 1 WHERE number = 3"], "fact 3 was altered"),
    ],
)
def test_verify_names_what_is_broken_and_where(
    busy: Path, capsys: pytest.CaptureFixture[str], statements: list[str], sentence: str
) -> None:
    change(busy / "companies" / "beta.db", *statements)
    change(busy / "control.db", "UPDATE companies SET state = 'suspended' WHERE slug = 'beta'")
    if "sp:%" in statements[0]:
        shutil.copy(busy / "companies" / "demo.db", busy / "companies" / "beta.db")  # where a salesperson has a lead
        change(busy / "companies" / "beta.db", *statements)
    assert run(operator.verify, busy) == 1
    said = capsys.readouterr()
    assert any(line.startswith("beta: ") and sentence in line for line in said.err.splitlines()), said.err
    assert "demo: journal, reach and counts are whole" in said.out


# Companies and schemas -----------------------------------------------------------------------------------------------------


def test_a_company_is_created_empty_and_whole(folder: Path) -> None:
    assert run(operator.company, folder, slug="gamma", name="Gamma Ltd") == 0
    assert ask(folder / "control.db", "SELECT name, state FROM companies WHERE slug = 'gamma'") == [
        ("Gamma Ltd", "active")
    ]
    assert told(folder, "gamma")["leads"] == [] and run(operator.verify, folder) == 0


@pytest.mark.parametrize("slug", ["demo", "x", "../demo", "Demo Company"])
def test_a_company_that_can_not_be_created_is_refused_in_words(
    folder: Path, slug: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(main, "configure_logs", lambda style: None)  # it would take pytest's own handlers away
    before = sorted(folder.rglob("*"))
    assert main.main(["--data", str(folder), "company", "create", slug]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("leadfloor: ")
    assert set(folder.rglob("*.db")) == {p for p in before if p.suffix == ".db"}


def test_migrate_brings_every_database_to_the_schema(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "companies").mkdir()
    for slug in ("one", "two"):
        (tmp_path / "companies" / f"{slug}.db").touch()
    assert run(operator.migrate, tmp_path) == 0
    assert capsys.readouterr().out == "one: up to date\ntwo: up to date\n"
    for path in (tmp_path / "companies").glob("*.db"):
        assert ask(path, "SELECT version_num FROM alembic_version") == [(schemas._newest("company"),)]
    assert ask(tmp_path / "control.db", "SELECT version_num FROM alembic_version") == [(schemas._newest("control"),)]


@pytest.mark.parametrize(
    ("command", "args"),
    [
        (operator.migrate, {}),
        (operator.restore, {"file": Path("x")}),
        (operator.verify, {}),
        (operator.company, {"slug": "gamma", "name": None}),
    ],
)
def test_while_a_hub_has_the_folder_a_command_that_changes_it_is_refused(
    folder: Path, command: Any, args: dict[str, Any]
) -> None:
    with held(folder), pytest.raises(UnsafeSettings, match=r"in use by process \d+"):
        run(command, folder, **args)
