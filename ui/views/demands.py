"""What a move asks for before it is done: the reason of a loss, the firm of a win."""

from nicegui import ui

from backend.leads import queries
from backend.leads.fields import LOST_REASONS
from backend.leads.lifecycle import TITLES

from ..live import Seat


async def ask(seat: Seat, lead_id: int, to: str, demanded: str) -> dict[str, str] | None:
    """What the move needs, as arguments of the action; nothing when the lead has it; None when he thought better of it."""
    found = await seat.store.read(queries.lead, seat.viewer, lead_id)
    if demanded == "firm_name" and found.row.firm_name:
        return {}
    with seat.client.content, ui.dialog(value=True).props("persistent") as dialog, ui.card().classes("lf-dialog"):
        ui.label(f"{found.row.name} → {TITLES[to]}").classes("lf-dialog-title")  # type: ignore[index]
        if demanded == "reason":
            field = ui.select(list(LOST_REASONS), label="Why?", with_input=True, new_value_mode="add-unique")
        else:
            field = ui.input("Name of the firm")  # type: ignore[assignment]
        field.classes("w-full").props("autofocus outlined dense")

        def submit() -> None:
            text = str(field.value or "").strip()
            if text:
                dialog.submit({demanded: text[:200]})
            else:
                field.props('error error-message="This is needed."')

        with ui.row().classes("lf-dialog-actions"):
            ui.button("Cancel", on_click=lambda: dialog.submit(None)).props("flat no-caps")
            ui.button("Move", on_click=submit).props("unelevated no-caps")
        field.on("keydown.enter", submit)
    given: dict[str, str] | None = await dialog
    dialog.delete()
    return given
