"""THE TABLE: status → the statuses it may move to, and what each demands. No database here."""

from collections.abc import Iterable

from ..access.roles import OPEN, May, Rights, Status
from ..errors import Conflict, Invalid, NotAllowed

CLOSED = (Status.WON, Status.LOST, Status.UNQUALIFIED)

TITLES: dict[Status, str] = {s: s.value.capitalize() for s in Status}

COLORS: dict[Status, str] = {
    Status.NEW: "#6366f1",
    Status.CONTACTED: "#0ea5e9",
    Status.QUALIFIED: "#14b8a6",
    Status.DEMO: "#f59e0b",
    Status.PROPOSAL: "#8b5cf6",
    Status.TRIAL: "#ec4899",
    Status.WON: "#10b981",
    Status.LOST: "#f43f5e",
    Status.UNQUALIFIED: "#64748b",
}

MOVES: dict[Status, frozenset[Status]] = {
    **{s: frozenset({*OPEN, Status.LOST, Status.UNQUALIFIED}) - {s} for s in OPEN},
    **{s: frozenset(OPEN) for s in CLOSED},
}
for _status in (Status.DEMO, Status.PROPOSAL, Status.TRIAL):
    MOVES[_status] |= {Status.WON}

DEMANDS: dict[Status, str] = {Status.WON: "firm_name", Status.LOST: "reason", Status.UNQUALIFIED: "reason"}
"""What a move to that status needs: a firm name on the lead or with the move, or a reason with the move."""


class IllegalMove(Conflict):
    code = "illegal_move"


def allowed_moves(status: str, rights: Rights) -> list[Status]:
    """Where this role may move a lead from `status`, in the order of the statuses."""
    if status in CLOSED and May.REOPEN not in rights.may:
        return []
    legal = MOVES.get(Status(status), frozenset())
    return [s for s in Status if s in legal and s in rights.sets]


def check_move(current: str, to: str, rights: Rights, *, firm_name: str | None, reason: str | None) -> Status:
    """The status to move to. Raises Invalid (unknown, or a demand not met), NotAllowed (this role), IllegalMove (the table)."""
    try:
        target = Status(to)
    except ValueError:
        raise Invalid(f"{to!r} is not a status.", field="status") from None
    if target not in rights.sets:
        raise NotAllowed(f"Your role may not set a lead to {target}.")
    if current in CLOSED and May.REOPEN not in rights.may:
        raise NotAllowed("Only a manager or an admin may reopen a closed lead.")
    if target not in MOVES[Status(current)]:
        raise IllegalMove(f"A lead can't move from {current} to {target}.", allowed=_words(MOVES[Status(current)]))
    match DEMANDS.get(target):
        case "firm_name" if not firm_name:
            raise Invalid("A won lead needs the name of the firm.", field="firm_name")
        case "reason" if not reason:
            raise Invalid(f"Say why the lead is {target}.", field="reason")
    return target


def _words(statuses: Iterable[Status]) -> list[str]:
    return [s.value for s in Status if s in statuses]
