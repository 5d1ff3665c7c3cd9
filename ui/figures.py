"""What stands beside the board: key numbers, who carries how much, and the feed's lines. Within a reach key and a view."""

from typing import Any

from sqlalchemy import Select, and_, func, select

from backend.access.companies import settings_of
from backend.access.roles import OPEN, VIEWS, Role, Status
from backend.access.scope import EVERYTHING, People, people_of, team_of_key
from backend.leads.assignment import loads
from backend.leads.fields import LeadRow
from backend.leads.lifecycle import COLORS, TITLES
from backend.leads.queries import counts, recent_facts
from backend.leads.timeline import line
from backend.store.ids import DAY, first_id_at
from backend.store.journal import Recorded
from backend.store.tables.leads import lead_access, leads
from backend.store.transactions import Rx

TREND_DAYS = 14


def figures(rx: Rx, key: str, view: str, online: set[int]) -> dict[str, Any]:
    """`{kpis, load}` for a room."""
    return {"kpis": kpis(rx, key, view), "load": load(rx, key, view, online)}


# Key numbers ---------------------------------------------------------------------------------------------------------------


def kpis(rx: Rx, key: str, view: str) -> list[dict[str, Any]]:
    """New today, waiting for an answer, open leads, open pipeline and won this week, as far as the view shows them."""
    today = rx.now - rx.now % DAY
    first = today - (TREND_DAYS - 1) * DAY
    captured = _per_day(rx, key, first)
    won = _won_per_day(rx, key, first)
    numbers, currency = counts(rx, key), settings_of(rx).currency
    open_n = sum(numbers.get(s, (0, 0))[0] for s in OPEN)
    open_value = sum(numbers.get(s, (0, 0))[1] for s in OPEN)
    days = [first // DAY + d for d in range(TREND_DAYS)]
    new_trend = [captured.get(d, (0, 0))[0] for d in days]
    value_trend = _sums([captured.get(d, (0, 0))[1] for d in days])
    won_trend = [won.get(d, (0, 0))[1] / 100 for d in days]
    found = [
        {
            "id": "new",
            "label": "New today",
            "value": str(new_trend[-1]),
            "color": "#6366f1",
            "spark": new_trend,
            "hint": f"Leads captured each day of the last {TREND_DAYS}",
            **_change(new_trend[-1], sum(new_trend[:-1]) / (TREND_DAYS - 1)),
        }
    ]
    if "waiting_since" in VIEWS[view]:
        found.append(_waiting(rx, key))
    found.append(
        {
            "id": "open",
            "label": "Open leads",
            "value": f"{open_n:,}",
            "delta": None,
            "good": None,
            "color": "#f59e0b",
            "spark": _sums(new_trend),
            "hint": f"How the leads captured in the last {TREND_DAYS} days add up",
        }
    )
    if "value" in VIEWS[view]:
        this_week, last_week = sum(won_trend[-7:]), sum(won_trend[:7])
        found += [
            {
                "id": "pipeline",
                "label": "Open pipeline",
                "value": money(open_value, currency),
                "delta": None,
                "good": None,
                "color": "#8b5cf6",
                "spark": value_trend,
                "hint": f"How the value captured in the last {TREND_DAYS} days adds up",
            },
            {
                "id": "won",
                "label": "Won in 7 days",
                "value": money(round(this_week * 100), currency),
                "color": "#10b981",
                "spark": won_trend,
                "hint": f"Value won each day of the last {TREND_DAYS}",
                **_change(this_week, last_week),
            },
        ]
    return found


def _waiting(rx: Rx, key: str) -> dict[str, Any]:
    statement = select(leads.c.waiting_since).where(
        leads.c.waiting_since.is_not(None), leads.c.status.in_([s.value for s in OPEN])
    )
    since = sorted(at for (at,) in rx.all(_within(key, statement)))
    hours = [sum(1 for at in since if rx.now - at > h * DAY // 24) for h in range(TREND_DAYS - 1, -1, -1)]
    longest = f"The longest since {_age(rx.now - since[0])}" if since else "Nobody is waiting"
    return {
        "id": "waiting",
        "label": "Waiting for an answer",
        "value": str(len(since)),
        "delta": None,
        "good": None,
        "color": "#f43f5e",
        "spark": hours,
        "hint": f"{longest}. The line: how many have waited longer than 13 … 0 hours",
    }


def _within(key: str, statement: Select[Any]) -> Select[Any]:
    if key in EVERYTHING:
        return statement.where(leads.c.archived_at.is_(None))
    return statement.join(lead_access, and_(lead_access.c.lead_id == leads.c.id, lead_access.c.key == key))


def _per_day(rx: Rx, key: str, since: int) -> dict[int, tuple[int, int]]:
    """Day → (leads captured, their value in minor units). A range of ids is a range of time."""
    day = func.floor(leads.c.created_at / DAY)
    statement = select(day, func.count(), func.coalesce(func.sum(leads.c.value), 0)).where(
        leads.c.id >= first_id_at(since), leads.c.created_at >= since
    )
    return {int(d): (n, value) for d, n, value in rx.all(_within(key, statement).group_by(day))}


def _won_per_day(rx: Rx, key: str, since: int) -> dict[int, tuple[int, int]]:
    day = func.floor(leads.c.status_at / DAY)
    statement = select(day, func.count(), func.coalesce(func.sum(leads.c.value), 0)).where(
        leads.c.status == Status.WON.value, leads.c.status_at >= since
    )
    return {int(d): (n, value) for d, n, value in rx.all(_within(key, statement).group_by(day))}


def _sums(values: list[int]) -> list[int]:
    total = 0
    return [total := total + v for v in values]


def _change(now: float, before: float) -> dict[str, Any]:
    if not before:
        return {"delta": None, "good": None}
    delta = round((now - before) / before * 100)
    return {"delta": delta, "good": delta >= 0}


_SIGNS = {"EUR": "€", "USD": "$", "GBP": "£", "INR": "₹", "JPY": "¥"}


def money(minor: int, currency: str) -> str:
    """Short, as on a card: €4.86M."""
    amount, sign = minor / 100, _SIGNS.get(currency, f"{currency} ")
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if amount >= size:
            return f"{sign}{amount / size:.2f}{letter}" if amount < 10 * size else f"{sign}{amount / size:.0f}{letter}"
    return f"{sign}{amount:.0f}"


def _age(microseconds: int) -> str:
    minutes = microseconds // 60_000_000
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h" if minutes < 2880 else f"{minutes // 1440} days"


# Load ----------------------------------------------------------------------------------------------------------------------


def load(rx: Rx, key: str, view: str, online: set[int]) -> list[dict[str, Any]]:
    """The salespeople whose leads this key sees, by open leads; nobody where the view hides people."""
    if "salesperson" not in VIEWS[view]:
        return []
    people, now = people_of(rx), loads(rx)
    prefix, _, holder = key.partition(":")
    shown = [
        p
        for p in people.by_id.values()
        if p.role == Role.SALESPERSON and p.state == "active" and _concerns(prefix, holder, p.id, people)
    ]
    return [
        {"id": str(p.id), "name": p.name, "open": now.get(p.id, 0), "capacity": p.capacity, "online": p.id in online}
        for p in sorted(shown, key=lambda p: (-now.get(p.id, 0), p.id))
    ]


def _concerns(prefix: str, holder: str, salesperson: int, people: People) -> bool:
    if prefix == "mgr":
        return people.manager_of(salesperson) == int(holder)
    if prefix == "sp":
        return salesperson == int(holder)
    return prefix in ("all", "co", "cs")


# The feed ------------------------------------------------------------------------------------------------------------------

_CHIPPED = "status"
_ICON_COLORS = {
    "lead.captured": "#f59e0b",
    "lead.moved": "#6366f1",
    "message.received": "#22c55e",
    "activity.logged": "#0ea5e9",
    "lead.archived": "#64748b",
}


def feed_line(recorded: Recorded, people: People, view: str, team: int | None) -> dict[str, Any] | None:
    """A fact as a line of the feed; None where this view is told nothing of it. `recorded.row` is the lead."""
    told = line(recorded, people, view, team)
    if told is None or recorded.row is None:
        return None
    lead: LeadRow = recorded.row[0]
    fact = recorded.fact
    who = (told["by"] or {}).get("name") or "Somebody"
    parts = [["b", who.split(" ")[0]], ["", fact.tells], ["b", lead.name]]
    if fact.kind == "message.received":
        parts = [["b", lead.name], ["", "wrote"]]
    elif fact.kind == "lead.assigned":
        new = next(
            (c["new"] for c in told["changes"] if c["field"] in ("salesperson", "warrior", "support") and c["new"]),
            None,
        )
        parts += [["", "to"], ["b", new["name"]]] if new else []
    elif fact.kind == "activity.logged":
        article = "an" if told["activity"] == "email" else "a"
        parts = [["b", who.split(" ")[0]], ["", f"logged {article} {told['activity']} with"], ["b", lead.name]]
    moved_to = next((c["new"] for c in told["changes"] if c["field"] == _CHIPPED), None)
    won = moved_to == Status.WON
    return {
        "id": told["id"],
        "icon": "trophy" if won else fact.icon,
        "color": COLORS[Status.WON] if won else _ICON_COLORS.get(fact.kind, "#6366f1"),
        "parts": parts,
        "chip": {"text": TITLES[Status(moved_to)], "color": COLORS[Status(moved_to)]} if moved_to else None,
        "sub": told.get("text") or lead.firm_name or (lead.source if "source" in VIEWS[view] else ""),
        "at": told["at"],
        "lead": str(lead.id),
    }


def recent(rx: Rx, key: str, view: str, most: int = 60) -> list[dict[str, Any]]:
    """The newest lines for a page that opens: the same words as live."""
    people = people_of(rx)
    team = team_of_key(key, people)
    found = (feed_line(recorded, people, view, team) for recorded in recent_facts(rx, key, most * 2))
    return [told for told in found if told is not None][:most]
