"""The open parts of one process, in one place for the edges (`api`, `ui`, `jobs`): opened in order, closed in reverse."""

import asyncio
import fcntl
import hmac
import logging
import os
import secrets
from pathlib import Path
from typing import IO

from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from .access import companies, signin
from .access.companies import Company, Route
from .access.scope import Person, Viewer
from .leads import hierarchy
from .settings import Settings, UnsafeSettings, kept_secret
from .store import journal, migrate
from .store.database import OPEN_COMPANIES, Database, Store
from .store.ids import HOUR, Clock, Ids, wall_clock
from .store.secrets import Keys
from .streams.fanout import Fanout
from .streams.keeper import Keeper
from .streams.tail import Tail

log = logging.getLogger(__name__)


class Hub:
    """Made from settings; usable between `open()` and `close()`."""

    def __init__(self, settings: Settings, clock: Clock = wall_clock) -> None:
        self.settings = settings
        self.clock = clock
        self.ids = Ids(clock)
        self.database = Database(settings.data, clock, self.ids)
        self.fanout = Fanout()
        self.tail = Tail(self.fanout)
        self.keeper = Keeper(self.database, self.fanout, self.tail, clock)
        self.serving = False
        self.failures = MovingWindowRateLimiter(MemoryStorage())
        self.channel_routes: dict[str, dict[str, Route]] = {}
        self.keys: Keys
        self.passwords: signin.Passwords
        self.tokens: signin.Tokens
        self._lock: IO[str] | None = None
        self._setup = ("", 0)

    async def open(self) -> None:
        """Raises UnsafeSettings when another hub has the data folder, `migrate.SchemaRefused` for a newer schema."""
        self._lock = held(self.settings.data)
        self.keys = Keys(self.settings.secret_key or kept_secret(self.settings.data, "secret_key"))
        self.tokens = signin.Tokens(self.keys)
        self.passwords = signin.Passwords(self.settings.bcrypt_rounds)
        await asyncio.to_thread(self.database.open)
        self.database.announce = self.tail.announce
        self.tail.start()
        self.keeper.start()
        await self.reread_routes()
        for company in (await self.companies())[:OPEN_COMPANIES]:
            if company.state == "active":
                await self.database.company(company.id)
        self.serving = True

    async def close(self) -> None:
        """Say goodbye to every stream, finish what is queued, close the files."""
        self.say_bye()
        await self.keeper.stop()
        await asyncio.to_thread(self.database.close)
        await self.tail.stop()
        self.passwords.close()
        if self._lock:
            self._lock.close()

    def say_bye(self) -> None:
        """Stop taking streams on and end those that are open; they come back to whoever serves next."""
        self.serving = False
        for subscriber in tuple(self.fanout.subscribers):
            subscriber.bye("shutdown", reconnect=True)

    # Companies -------------------------------------------------------------------------------------------------------------

    async def company(self, slug: str) -> Store | None:
        """The store of an active company by its short name."""
        found = await self.database.control.read(companies.by_slug, slug)
        if found is None or found.state != "active":
            return None
        return await self.database.company(found.id)

    async def create_company(self, slug: str, name: str) -> Store:
        """A new tenant: its row, its database, its head. Half done, it goes on where it stopped."""
        company = await self.database.control.write(companies.create, slug, name)
        await asyncio.to_thread(migrate.upgrade, "company", self.database.company_file(slug))
        await self.database.control.write(companies.activate, company.id)
        store = await self.database.company(company.id)
        await store.write(journal.begin)
        return store

    async def companies(self) -> list[Company]:
        return await self.database.control.read(companies.every_company)

    async def add_person(self, store: Store, viewer: Viewer, given: dict[str, object], password_hash: str) -> Person:
        """Somebody new with a credential; the leads he may see are keyed for him at once."""
        person = await store.write(hierarchy.add_person, viewer, given)
        await self.database.control.write(
            signin.set_credential, store.id, person.id, person.username, person.email, password_hash
        )
        await self.pay_rekeys(store)
        return person

    async def pay_rekeys(self, store: Store) -> None:
        """Give every lead the keys that a move in the hierarchy still owes it, chunk by chunk."""
        while await store.write_bulk(hierarchy.rekey_owed, Viewer.system("hierarchy")):
            pass

    def setup_token(self) -> str:
        """The one-time secret of the set-up link: new at each start, good for an hour, until the first company is there."""
        self._setup = (secrets.token_urlsafe(32), self.clock() + HOUR)
        return self._setup[0]

    def is_setup_token(self, token: str) -> bool:
        kept, until = self._setup
        return bool(kept) and hmac.compare_digest(kept.encode(), token.encode()) and self.clock() < until

    # Channels --------------------------------------------------------------------------------------------------------------

    async def reread_routes(self) -> None:
        self.channel_routes["whatsapp"] = await self.database.control.read(companies.routes, "whatsapp")

    def app_secret(self) -> str:
        """The app secret of this deployment's own Meta app; in development one is derived, so that `simulate` can sign."""
        return self.settings.meta_app_secret or self._development("meta-app-secret")

    def verify_token(self) -> str:
        return self.settings.meta_verify_token or self._development("meta-verify-token")

    def _development(self, purpose: str) -> str:
        return "" if self.settings.production else self.keys.derived(purpose).hex()


def held(folder: Path) -> IO[str]:
    """The lock on a data folder: one hub at a time. Raises UnsafeSettings naming who has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "hub.lock").open("a+")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.seek(0)
        who = lock.read().strip() or "another process"
        lock.close()
        raise UnsafeSettings(
            f"The data folder {folder.absolute()} is in use by {who}: one hub per folder. Stop that one, or give --data another."
        ) from None
    lock.truncate(0)
    lock.write(f"process {os.getpid()}")
    lock.flush()
    return lock
