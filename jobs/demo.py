"""The demo companies: made once, by the ordinary actions, in a deployment that has no company yet; and who signs in there."""

import asyncio
import secrets
from random import Random

from backend.access import companies, people, signin
from backend.access.scope import Person, Viewer, people_of
from backend.hub import Hub
from backend.inbox.accounts import add_account, token_place
from backend.settings import UnsafeSettings, kept_secret
from backend.store.database import Store
from backend.store.ids import DAY, MINUTE, Ids

from .demo_acts import Beat, DrivenClock, inbound_rule, play
from .demo_cast import COMPANIES, DEMO, PARTNER, PARTS, Cast, Part
from .demo_story import DAYS, POOL_FROM, POOL_TO, story
from .demo_traffic import traffic

__all__ = ["ensure", "is_demo", "refuse_in_production", "sign_ins", "traffic"]

SEED = 20_260_801
PASSWORD = "demo_password"
BEGUN = "demo_begun"
"""Files of the data folder: the password as it is now, and a mark that stands there while the companies are being made."""

WINDOW = 256
"""Beats given to the writer at once; it keeps their order."""

MACHINE = Viewer.system("demo")


async def ensure(hub: Hub) -> None:
    """The demo companies, where there is no company yet; where they are, DEMO_PASSWORD counts. Raises UnsafeSettings."""
    if hub.settings.production:
        raise UnsafeSettings("--demo is not for production: everybody could read the password.")
    begun = hub.settings.data / BEGUN
    if begun.exists():
        raise UnsafeSettings(
            f"Making the demo companies was interrupted. Remove the folder {hub.settings.data.absolute()} and start again."
        )
    if await is_demo(hub):
        await _keep_password(hub)
    elif not await hub.companies():
        begun.touch()
        await _make_all(hub)
        begun.unlink()


async def is_demo(hub: Hub) -> bool:
    """Whether the demo companies are here: their made-up WhatsApp number is nobody else's, also after a restore."""
    return DEMO.phone in hub.channel_routes["whatsapp"]


async def refuse_in_production(hub: Hub) -> None:
    """Raises UnsafeSettings where production would serve people whose password has been printed."""
    if hub.settings.production and await is_demo(hub):
        raise UnsafeSettings(
            f"{hub.settings.data.absolute()} holds the demo companies, whose password is no secret. "
            "Production needs a data folder of its own (LEADFLOOR_DATA)."
        )


def sign_ins(hub: Hub) -> str:
    """Who can sign in, one per role, and the password."""
    file = hub.settings.data / PASSWORD
    password = file.read_text().strip() if file.exists() else "as it was set; a start with --demo makes a new one"
    named = [(part, name) for part, name in zip(PARTS, DEMO.players, strict=True) if part.username[-1] not in "23"]
    lines = [f"  {part.username:13} {part.role:17} {name}" for part, name in named]
    names = " or ".join(f"{cast.slug} ({cast.name})" for cast in COMPANIES)
    return "\n".join([f"Company: {names}; the names are for {DEMO.slug}", f"Password: {password}", *lines, ""])


# The password --------------------------------------------------------------------------------------------------------------


def _pronounceable() -> str:
    syllables = ["".join(map(secrets.choice, ("bdfgklmnprstvz", "aeiou"))) for _ in range(9)]
    return "-".join("".join(syllables[n : n + 3]) for n in (0, 3, 6))


def _password(hub: Hub) -> str:
    return kept_secret(hub.settings.data, PASSWORD, hub.settings.demo_password or _pronounceable())


async def _keep_password(hub: Hub) -> None:
    """Set everybody's password where DEMO_PASSWORD is another one now, or nobody knows what it was."""
    file = hub.settings.data / PASSWORD
    known = file.read_text().strip() if file.exists() else None
    if known is not None and hub.settings.demo_password in ("", known):
        return
    file.unlink(missing_ok=True)
    password_hash = await hub.passwords.hash(_password(hub))
    for cast in COMPANIES:
        store = await hub.company(cast.slug)
        if store is not None:
            for person in await _players(store):
                await _set_password(hub, store, person, password_hash)


async def _players(store: Store) -> list[Person]:
    usernames = {part.username for part in PARTS}
    return [p for p in (await store.read(people_of)).by_id.values() if p.username in usernames]


async def _set_password(hub: Hub, store: Store, person: Person, password_hash: str) -> None:
    given = (store.id, person.id, person.username, person.email, password_hash)
    await hub.database.control.write(signin.set_credential, *given)
    await store.write(signin.end_sessions, MACHINE, person.id, "password")


# The companies -------------------------------------------------------------------------------------------------------------


async def _make_all(hub: Hub) -> None:
    now, password_hash = hub.clock(), await hub.passwords.hash(_password(hub))
    for cast in COMPANIES:
        store = await hub.create_company(cast.slug, cast.name)
        await _give_accounts(hub, store, cast)
        await hub.reread_routes()
        await _fill(hub, store, cast, now, password_hash)


async def _give_accounts(hub: Hub, store: Store, cast: Cast) -> None:
    for channel, account, name in cast.accounts:
        await hub.database.control.write(companies.route_channel, channel, account, store.id, None)
        sealed = hub.keys.seal(f"made-up-{secrets.token_hex(16)}".encode(), token_place(channel, account))
        await store.write(add_account, channel, account, name, sealed)


async def _fill(hub: Hub, store: Store, cast: Cast, now: int, password_hash: str) -> None:
    """The people and the past of a company, at the times when they came about."""
    clock = DrivenClock(now - (DAYS + 1) * DAY)
    real = store.clock, store.ids
    store.clock, store.ids = clock, Ids(clock, cast.node)
    try:
        await _add_people(hub, store, cast, clock, password_hash)
        await _live(store, cast, now, clock)
        await hub.pay_rekeys(store)
    finally:
        store.clock, store.ids = real


async def _add_people(hub: Hub, store: Store, cast: Cast, clock: DrivenClock, password_hash: str) -> None:
    partner = await store.write(people.add_partner_company, PARTNER)
    there: dict[str | None, int] = {}
    for part, name in zip(PARTS, cast.players, strict=True):
        clock.now += MINUTE
        given = {**_place(part, there, partner), "username": part.username, "name": name, "email": cast.email(name)}
        there[part.username] = (await hub.add_person(store, MACHINE, given, password_hash)).id


def _place(part: Part, there: dict[str | None, int], partner: int) -> dict[str, object]:
    return {
        "role": part.role,
        "manager_id": there.get(part.manager),
        "salesperson_id": there.get(part.salesperson),
        "partner_company_id": partner if part.partner else None,
        "data_visibility": part.visibility,
    }


async def _live(store: Store, cast: Cast, now: int, clock: DrivenClock) -> None:
    """Play the story; in between, the inbound rule changes as often as the admin of `demo` changed his mind."""
    beats = story(cast, now, Random(f"{SEED}/{cast.slug}"))
    rules = ((clock.now + MINUTE, "fewest"), (now - POOL_FROM, "pool"), (now - POOL_TO, "fewest"))
    for at, inbound in rules if cast.fewest else ():
        earlier = [beat for beat in beats if beat.at < at]
        await _play(store, clock, earlier)
        beats = beats[len(earlier) :]
        clock.now = at
        await store.write(inbound_rule, inbound)
    await _play(store, clock, beats)


async def _play(store: Store, clock: DrivenClock, beats: list[Beat]) -> None:
    for start in range(0, len(beats), WINDOW):
        await asyncio.gather(*(store.write(play, clock, beat) for beat in beats[start : start + WINDOW]))
