"""How a fact about a lead is told: as a line of the timeline, within what a view may see of it. No database here."""

from typing import Any

from ..access.roles import TELLS_TIMELINE, VIEWS
from ..access.scope import People
from ..events import ActivityLogged, LeadFact, MessageReceived
from ..store.ids import rfc3339
from ..store.journal import Recorded
from .fields import field_of, shown_within

SILENT = frozenset({"rank", "status_at", "unread", "waiting_since", "last_message", "last_message_at", "version"})
"""Columns that change as a consequence: a timeline does not mention them."""


def by(recorded: Recorded, people: People, view: str) -> dict[str, Any] | None:
    """Who did it, {id, name}; None where the view hides other people."""
    if "updated_by" not in VIEWS[view]:
        return None
    if recorded.actor is None:
        return {"id": None, "name": recorded.via}
    return {"id": str(recorded.actor), "name": people.name(recorded.actor) or "Somebody who has left"}


def line(recorded: Recorded, people: People, view: str, team: int | None) -> dict[str, Any] | None:
    """One line, or None where this view is told nothing.

    `changes` are [{field, old, new}] as the API says values; a message or an activity has `text`. A note of another team is not for
    a standard view.
    """
    fact = recorded.fact
    if not isinstance(fact, LeadFact) or not fact.tells or view not in TELLS_TIMELINE:
        return None
    fields = VIEWS[view]
    if fact.needs and fact.needs not in fields:
        return None
    if isinstance(fact, ActivityLogged) and view == "standard" and fact.team is not None and fact.team != team:
        return None
    changes = []
    for column, (old, new) in fact.changes.items():
        name = field_of(column)
        if name in fields and column not in SILENT:
            before, after = (shown_within(view, column, value, people) for value in (old, new))
            changes.append({"field": name, "old": before, "new": after})
    return {
        "id": str(recorded.number),
        "kind": fact.kind,
        "at": rfc3339(recorded.at),
        "by": by(recorded, people, view),
        "does": fact.tells,
        "changes": changes,
        **_details(fact),
    }


def _details(fact: LeadFact) -> dict[str, Any]:
    if isinstance(fact, ActivityLogged):
        return {
            "activity": fact.activity,
            "text": fact.text,
            "outcome": fact.outcome,
            "minutes": fact.minutes,
            "happened_at": rfc3339(fact.happened_at),
        }
    if isinstance(fact, MessageReceived):
        return {
            "channel": fact.channel,
            "type": fact.type,
            "text": fact.text,
            "message": str(fact.message),
            "conversation": str(fact.conversation),
        }
    return {"undoes": str(fact.undoes)} if fact.undoes else {}
