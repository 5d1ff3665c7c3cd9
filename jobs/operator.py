"""The operator's commands on a data folder at rest: migrate, backup, restore, verify, company create."""

import argparse
import asyncio
import sqlite3
import sys
import tarfile
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

from backend.access import companies
from backend.hub import Hub, held
from backend.leads import reach
from backend.settings import Settings, UnsafeSettings
from backend.store import journal
from backend.store import migrate as schemas

KEPT_OUT = ("secret_key", "demo_password")
"""Never in a backup: whoever finds the file must not be able to open what is sealed, or to sign in."""


def migrate(settings: Settings, args: argparse.Namespace) -> int:
    with held(settings.data):
        (settings.data / "companies").mkdir(parents=True, exist_ok=True)
        schemas.upgrade("control", settings.data / "control.db")
        for path in sorted((settings.data / "companies").glob("*.db")):
            schemas.upgrade("company", path)
            print(f"{path.stem}: up to date")
    return 0


def backup(settings: Settings, args: argparse.Namespace) -> int:
    """Consistent copies of every database, also while the hub runs, in one file."""
    if not (settings.data / "control.db").exists():
        raise UnsafeSettings(f"There is nothing to back up in {settings.data}.")
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        (target / "companies").mkdir()
        for path in _databases(settings.data):
            copy = target / path.relative_to(settings.data)
            connection = sqlite3.connect(path)
            connection.execute("VACUUM INTO ?", (str(copy),))
            connection.close()
        with tarfile.open(args.file, "w:gz") as archive:
            for copy in sorted(target.rglob("*.db")):
                archive.add(copy, copy.relative_to(target))
    print(f"Backed up to {args.file}. The secret key is left out: keep {settings.data / 'secret_key'} somewhere else.")
    return 0


def restore(settings: Settings, args: argparse.Namespace) -> int:
    """Put a backup into an empty folder. Cursors that clients hold are void from then on: numbers would be used again."""
    with held(settings.data):
        if (settings.data / "control.db").exists():
            raise UnsafeSettings(f"{settings.data} has a hub already. Restore into an empty folder.")
        with tarfile.open(args.file) as archive:
            archive.extractall(settings.data, filter="data")
        (settings.data / "companies").mkdir(exist_ok=True)
    asyncio.run(_on_hub(settings, _rotate))
    print("Restored. Every client fetches again.")
    if not (settings.data / "secret_key").exists() and not settings.secret_key:
        print("The secret key was not in the backup: put it into the folder, or what was sealed with it stays sealed.")
    return 0


async def _rotate(hub: Hub) -> int:
    for company in await hub.companies():
        await (await hub.database.company(company.id)).write(journal.rotate_epoch)
    return 0


def company(settings: Settings, args: argparse.Namespace) -> int:
    async def create(hub: Hub) -> int:
        await hub.create_company(args.slug, args.name or args.slug.capitalize())
        print(f"The company {args.slug} is there. Its first person comes by the set-up link of the next start.")
        return 0

    return asyncio.run(_on_hub(settings, create))


def verify(settings: Settings, args: argparse.Namespace) -> int:
    """Recompute access and counts of every lead, check every fact and seal. 1 when anything differs."""
    return asyncio.run(_on_hub(settings, _verify))


async def _verify(hub: Hub) -> int:
    broken = 0
    for company in await hub.database.control.read(companies.every_company):
        store = await hub.database.company(company.id)
        found = await asyncio.to_thread(lambda s=store: s.read_now(journal.check) + s.read_now(reach.check))
        broken += len(found)
        for sentence in found:
            print(f"{company.slug}: {sentence}", file=sys.stderr)
        if not found:
            print(f"{company.slug}: journal, reach and counts are whole")
    return 1 if broken else 0


async def _on_hub(settings: Settings, work: Callable[[Hub], Awaitable[int]]) -> int:
    hub = Hub(settings)
    await hub.open()
    try:
        return await work(hub)
    finally:
        await hub.close()


def _databases(folder: Path) -> list[Path]:
    return [folder / "control.db", *sorted((folder / "companies").glob("*.db"))]
