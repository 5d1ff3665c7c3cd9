"""A lead in a drawer over the page: what one knows of it, and what happened, read when it is opened."""

from collections.abc import Awaitable, Callable
from typing import Any

from nicegui import ui

from backend.access.roles import VIEWS, Status
from backend.access.scope import people_of
from backend.access.signin import by_session
from backend.errors import HubError
from backend.leads import queries
from backend.leads.fields import shown
from backend.leads.lifecycle import COLORS, TITLES
from backend.store.transactions import Rx

from ..acting import toast
from ..components.floor import LeadEventArguments
from ..components.frame import avatar, div
from ..live import Seat

LINES = 50
FACTS = {
    "firm_name": "Firm",
    "phone": "Phone",
    "email": "E-mail",
    "source": "Source",
    "salesperson": "Salesperson",
    "warrior": "Warrior",
    "partner_company": "Partner company",
    "support": "Support",
    "city": "City",
    "lost_reason": "Reason",
    "comments": "Comments",
}


def opener(seat: Seat) -> Callable[[LeadEventArguments], Awaitable[None]]:
    """What opens a lead on this page."""
    drawer = ui.dialog().props('position=right full-height transition-show="slide-left" transition-hide="slide-right"')

    async def open_lead(e: LeadEventArguments) -> None:
        try:
            known = await _read(seat, e.lead_id)
        except HubError as refused:
            toast(refused)
            return
        drawer.clear()
        with drawer, ui.card().classes("lf-drawer"):
            _show(known, drawer)
        drawer.open()

    return open_lead


async def _read(seat: Seat, lead_id: int) -> dict[str, Any]:
    found = await seat.store.read(by_session, seat.viewer.session_id or 0)
    viewer = found.viewer if found else seat.viewer

    def query(rx: Rx) -> dict[str, Any]:
        lead = queries.lead(rx, viewer, lead_id)
        lines = queries.timeline(rx, viewer, lead_id, limit=LINES).items if viewer.view in VIEWS else ()
        return {"lead": shown(lead.row, lead.shares, people_of(rx), viewer.view), "timeline": lines}

    return await seat.store.read(query)


def _show(known: dict[str, Any], drawer: ui.dialog) -> None:
    lead = known["lead"]
    status = Status(lead["status"])
    with div("lf-drawer-head"):
        avatar(lead["name"])
        with div("lf-grow"):
            ui.label(lead["name"]).classes("lf-drawer-name")
            with div("lf-drawer-sub"):
                ui.label(TITLES[status]).classes("lf-chip").style(f"--c: {COLORS[status]}")
                if lead.get("value") is not None:
                    ui.label(f"{lead['value']:,} {lead['currency']}").classes("lf-drawer-value")
        ui.button(icon="sym_r_close", on_click=drawer.close).props("flat round dense")
    with div("lf-drawer-facts"):
        for field, title in FACTS.items():
            if lead.get(field):
                ui.label(title).classes("lf-fact-title")
                ui.label(_said(lead[field])).classes("lf-fact")
    ui.label("Timeline").classes("lf-drawer-section")
    with div("lf-timeline"):
        for item in known["timeline"]:
            _line(item, lead["name"])


def _line(item: dict[str, Any], name: str) -> None:
    with div("lf-told"):
        who = name if item["kind"] == "message.received" else (item["by"] or {}).get("name") or "Somebody"
        with div("lf-told-head"):
            ui.label(f"{who} {item['does']}").classes("lf-told-who")
            ui.label(item["at"][:16].replace("T", " ")).classes("lf-told-at")
        if item.get("text"):
            ui.label(item["text"]).classes("lf-told-text")
        for change in item["changes"]:
            title = change["field"].replace("_", " ").capitalize()
            ui.label(f"{title}: {_said(change['old'])} → {_said(change['new'])}").classes("lf-told-change")


def _said(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    if isinstance(value, dict):
        return str(value["name"])
    if isinstance(value, list):
        return ", ".join(_said(v) for v in value) or "nobody"
    text = str(value)
    return text[:16].replace("T", " ") if text.endswith("Z") and text[10:11] == "T" else text
