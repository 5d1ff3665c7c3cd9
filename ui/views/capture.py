"""A new lead by hand: a dialog from the top bar."""

from typing import Any

from nicegui import ui

from backend.errors import HubError
from backend.leads import actions
from backend.leads.fields import SOURCES

from ..acting import act, toast
from ..live import Seat

FIELDS = {
    "first_name": "First name",
    "last_name": "Last name",
    "firm_name": "Firm",
    "phone": "Phone",
    "email": "E-mail",
}


def button(seat: Seat) -> None:
    """The button and its dialog, on the current page."""
    with ui.dialog() as dialog, ui.card().classes("lf-dialog"):
        ui.label("New lead").classes("lf-dialog-title")
        with ui.element("div").classes("lf-dialog-grid"):
            inputs: dict[str, Any] = {name: ui.input(label).props("outlined dense") for name, label in FIELDS.items()}
            inputs["value"] = ui.number("Value", min=0, precision=2).props("outlined dense")
            inputs["source"] = ui.select(list(SOURCES), label="Source", value="Phone").props("outlined dense")

        async def save() -> None:
            given = {name: field.value for name, field in inputs.items() if field.value not in (None, "")}
            for field in inputs.values():
                field.props(remove="error error-message")
            try:
                done = await act(seat, actions.capture, given)
            except HubError as refused:
                _show(refused, inputs)
                return
            dialog.close()
            for name, field in inputs.items():
                field.value = "Phone" if name == "source" else None if name == "value" else ""
            ui.notify(f"{done.lead.name} is on the board.", type="positive", position="bottom")

        with ui.row().classes("lf-dialog-actions"):
            ui.button("Cancel", on_click=dialog.close).props("flat no-caps")
            ui.button("Add lead", on_click=save).props("unelevated no-caps")
    with ui.element("button").classes("lf-button lf-button--primary").props("type=button") as opener:
        ui.icon("sym_r_add")
        ui.label("New lead")
    opener.on("click", dialog.open)


def _show(refused: HubError, inputs: dict[str, Any]) -> None:
    """At the field that the refusal names, else as a toast."""
    named = [e for e in refused.extra.get("errors", []) if e["field"] in inputs]
    for error in named:
        inputs[error["field"]].props["error"] = True
        inputs[error["field"]].props["error-message"] = error["message"]
    if not named:
        toast(refused)
