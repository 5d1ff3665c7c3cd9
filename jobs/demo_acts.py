"""What can happen to a customer in the demo, each done by whom it falls to when the moment comes, and by the ordinary actions."""

import base64
import json
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple

from backend.access.companies import change_settings
from backend.access.roles import RIGHTS, Role, Status
from backend.access.scope import Person, Viewer, people_of
from backend.channels.whatsapp import whatsapp
from backend.inbox import deliveries
from backend.leads import actions
from backend.leads.changes import load
from backend.leads.fields import LeadRow
from backend.leads.matching import match
from backend.store.transactions import Tx

from .demo_words import Customer


class DrivenClock:
    """Says the time of the beat that is being played."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


class Beat(NamedTuple):
    """Something that happens at a time. Beats of one company are played in the order of their times."""

    at: int
    act: Callable[..., None]
    customer: Customer
    given: dict[str, Any]


def play(tx: Tx, clock: DrivenClock, beat: Beat) -> None:
    """One beat as one action, at its own time."""
    clock.now = tx.now = beat.at
    beat.act(tx, beat.customer, **beat.given)


# Messages ------------------------------------------------------------------------------------------------------------------


def message(tx: Tx, customer: Customer, body: bytes) -> None:
    """A webhook of the provider: the customer wrote, or one of us answered from the phone."""
    settled = deliveries.receive(tx, whatsapp.name, body, deliveries.number(whatsapp.read(body, tx.now)))
    if set(settled) != {"processed"}:
        raise ValueError(f"a message of {customer.name} was not taken: {dict(settled)}")


def echo(account: str, phone: str, text: str, now: int, rng: Random) -> bytes:
    """The body of a webhook that tells of a text which one of us typed on the company's own phone."""
    head = {"from": "442071838750", "to": phone, "id": f"wamid.{base64.b64encode(rng.randbytes(24)).decode()}"}
    value = {
        "messaging_product": "whatsapp",
        "metadata": {"display_phone_number": "442071838750", "phone_number_id": account},
        "message_echoes": [head | {"timestamp": str(now // 1_000_000), "type": "text", "text": {"body": text}}],
    }
    entry = {"id": "990011223344556", "changes": [{"value": value, "field": "smb_message_echoes"}]}
    return json.dumps({"object": "whatsapp_business_account", "entry": [entry]}, separators=(",", ":")).encode()


# Whose lead it is ----------------------------------------------------------------------------------------------------------


def capture(tx: Tx, customer: Customer, by: str, fields: dict[str, Any]) -> None:
    actions.capture(tx, _named(tx, by), {**customer.person(), **fields})


def dispatch(tx: Tx, customer: Customer, to: str) -> None:
    """The salesperson's manager takes the lead out of the pool, unless the inbound rule has given it to somebody."""
    lead = _lead(tx, customer)
    if lead.salesperson_id is None:
        target = _person(tx, to)
        manager = people_of(tx).by_id[target.manager_id or 0]
        actions.assign(tx, _viewer(tx, manager), lead.id, {"salesperson_id": target.id}, version=lead.version)


def hand_to_warrior(tx: Tx, customer: Customer) -> None:
    """The salesperson gives the lead to one of his warriors, if he has any."""
    lead = _lead(tx, customer)
    warriors = sorted(people_of(tx).warriors_of(lead.salesperson_id or 0))
    if warriors and lead.warrior_id is None:
        given = {"warrior_id": warriors[customer.luck % len(warriors)]}
        actions.assign(tx, _owner(tx, lead), lead.id, given, version=lead.version)


def hand_to_partner(tx: Tx, customer: Customer) -> None:
    lead = _lead(tx, customer)
    partner = next(iter(people_of(tx).partner_companies))
    actions.assign(tx, _named(tx, "admin"), lead.id, {"partner_company_id": partner}, version=lead.version)


def hand_to_support(tx: Tx, customer: Customer) -> None:
    lead, support = _lead(tx, customer), _person(tx, "support1")
    actions.assign(tx, _named(tx, "admin"), lead.id, {"support_id": support.id}, version=lead.version)


def share(tx: Tx, customer: Customer) -> None:
    """The owner asks another salesperson in."""
    lead = _lead(tx, customer)
    others = [p.id for p in _of_role(tx, Role.SALESPERSON) if p.id != lead.salesperson_id]
    wanted = [others[customer.luck % len(others)]]
    actions.share(tx, _owner(tx, lead), lead.id, wanted, version=lead.version)


# Work on it ----------------------------------------------------------------------------------------------------------------


def move(tx: Tx, customer: Customer, to: str, reason: str | None = None) -> None:
    lead = _lead(tx, customer)
    by = _worker(tx, lead)
    if to not in by.rights.sets:
        by = _owner(tx, lead)
    firm = customer.firm if to == Status.WON and not lead.firm_name else None
    actions.move(tx, by, lead.id, to, version=lead.version, reason=reason, firm_name=firm)


def edit(tx: Tx, customer: Customer, fields: dict[str, Any]) -> None:
    lead = _lead(tx, customer)
    actions.edit(tx, _worker(tx, lead), lead.id, fields, version=lead.version)


def log(tx: Tx, customer: Customer, activity: str, **told: Any) -> None:
    lead = _lead(tx, customer)
    actions.log_activity(tx, _worker(tx, lead), lead.id, activity, **told)


def archive(tx: Tx, customer: Customer) -> None:
    lead = _lead(tx, customer)
    actions.archive(tx, _owner(tx, lead), lead.id, version=lead.version)


def inbound_rule(tx: Tx, inbound: str) -> None:
    """The admin says where new leads go from now on."""
    change_settings(tx, _named(tx, "admin"), inbound=inbound)


# Who ------------------------------------------------------------------------------------------------------------------------


def _lead(tx: Tx, customer: Customer) -> LeadRow:
    found = load(tx, match(tx, [("phone", customer.phone)]).lead_id or 0)
    if found is None:
        raise LookupError(f"{customer.name} is no lead yet")
    return found[0]


def _worker(tx: Tx, lead: LeadRow) -> Viewer:
    """Who works on the lead: its warrior as long as he sees it, else its salesperson."""
    seen = lead.status in RIGHTS[Role.WARRIOR].sees
    return _viewer(tx, people_of(tx).by_id[lead.warrior_id]) if lead.warrior_id and seen else _owner(tx, lead)


def _owner(tx: Tx, lead: LeadRow) -> Viewer:
    return _viewer(tx, people_of(tx).by_id[lead.salesperson_id or 0])


def _of_role(tx: Tx, role: Role) -> list[Person]:
    return sorted((p for p in people_of(tx).by_id.values() if p.role == role), key=lambda p: p.id)


def _person(tx: Tx, username: str) -> Person:
    return next(p for p in people_of(tx).by_id.values() if p.username == username)


def _named(tx: Tx, username: str) -> Viewer:
    return _viewer(tx, _person(tx, username))


def _viewer(tx: Tx, person: Person) -> Viewer:
    return Viewer.of(person, people_of(tx))
