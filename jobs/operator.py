"""The operator's commands on a data folder at rest: migrate, backup, restore, verify, company create."""

import argparse
import asyncio
import os
import sqlite3
import sys
import tarfile
import tempfile
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing
from pathlib import Path
from typing import IO

from backend.access.companies import Company
from backend.hub import Hub, held
from backend.leads import reach
from backend.settings import Settings, UnsafeSettings
from backend.store import journal
from backend.store import migrate as schemas
from backend.store.database import Store
from backend.store.transactions import Rx

BESIDE = {"secret_key", "hub.lock"}
"""What may lie in a folder that a backup is restored into: the key comes back first, by hand."""


def migrate(settings: Settings, args: argparse.Namespace) -> int:
    with held(settings.data):
        (settings.data / "companies").mkdir(parents=True, exist_ok=True)
        schemas.upgrade("control", settings.data / "control.db")
        for path in sorted((settings.data / "companies").glob("*.db")):
            schemas.upgrade("company", path)
            print(f"{path.stem}: up to date")
    return 0


def backup(settings: Settings, args: argparse.Namespace) -> int:
    """Consistent copies of every database, also while the hub runs, in one file.

    Nothing else: whoever finds the file must not be able to open what is sealed, or to sign in.
    """
    if not (settings.data / "control.db").exists():
        raise UnsafeSettings(f"There is nothing to back up in {settings.data}.")
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch)
        (target / "companies").mkdir()
        for path in _databases(settings.data):
            with closing(sqlite3.connect(path)) as connection:
                connection.execute("VACUUM INTO ?", (str(target / path.relative_to(settings.data)),))
        with _private(args.file) as file, tarfile.open(fileobj=file, mode="w:gz") as archive:
            for copy in _databases(target):
                archive.add(copy, copy.relative_to(target))
    print(f"Backed up to {args.file}. The secret key is left out: keep {settings.data / 'secret_key'} somewhere else.")
    return 0


def _private(path: Path) -> IO[bytes]:
    """A new file that nobody else reads. Raises UnsafeSettings where it can't be written."""
    try:
        return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
    except OSError as error:
        raise UnsafeSettings(f"{path} can't be written: {error.strerror}.") from None


def restore(settings: Settings, args: argparse.Namespace) -> int:
    """Put a backup into an empty folder. Cursors that clients hold are void from then on: numbers would be used again."""
    with held(settings.data):
        if strangers := sorted(p.name for p in settings.data.iterdir() if p.name not in BESIDE):
            raise UnsafeSettings(f"{settings.data} is not empty ({strangers[0]}). Restore into an empty folder.")
        keyless = not settings.secret_key and not (settings.data / "secret_key").exists()
        _unpack(args.file, settings.data)
    asyncio.run(_on_hub(settings, _rotate))
    print("Restored. Every client fetches again.")
    if keyless:
        print(
            "The secret key is not in a backup, so there is a new one: put the old one in its place, or what it sealed is lost."
        )
    return 0


def _unpack(file: Path, folder: Path) -> None:
    """The databases of a backup into `folder`: all of them, or none. Raises UnsafeSettings for what is no backup."""
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        try:
            with tarfile.open(file) as archive:
                archive.extractall(scratch, filter="data")
        except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
            raise UnsafeSettings(f"{file} can't be read as a backup: {error}.") from None
        found = _databases(Path(scratch))
        if not found[0].exists():
            raise UnsafeSettings(f"{file} is no backup of a hub: it has no control.db.")
        (folder / "companies").mkdir()
        for path in reversed(found):  # control last: without it there is no hub
            path.rename(folder / path.relative_to(scratch))


async def _rotate(hub: Hub) -> int:
    async for _, store in _stores(hub):
        await store.write(journal.rotate_epoch)
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
    async for company, store in _stores(hub):
        found = await asyncio.to_thread(store.read_now, _breaks)
        broken += len(found)
        for sentence in found:
            print(f"{company.slug}: {sentence}", file=sys.stderr)
        if not found:
            print(f"{company.slug}: journal, reach and counts are whole")
    return 1 if broken else 0


def _breaks(rx: Rx) -> list[str]:
    return journal.check(rx) + reach.check(rx)


async def _stores(hub: Hub) -> AsyncIterator[tuple[Company, Store]]:
    """Every company that was ever finished, suspended or not, one open at a time."""
    for company in await hub.companies():
        if company.state != "created":
            file = hub.database.company_file(company.slug)
            with closing(Store(company.slug, file, hub.database, company.id)) as store:
                yield company, store


async def _on_hub(settings: Settings, work: Callable[[Hub], Awaitable[int]]) -> int:
    hub = Hub(settings)
    await hub.open()
    try:
        return await work(hub)
    finally:
        await hub.close()


def _databases(folder: Path) -> list[Path]:
    return [folder / "control.db", *sorted((folder / "companies").glob("*.db"))]
