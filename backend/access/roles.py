"""THE TABLES: role → statuses it sees and sets, what it may do, its view and its pages. Nothing else decides rights.

A role that is not listed here sees and may nothing.
"""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    ADMIN = "ADMIN"
    MANAGER = "MANAGER"
    SALESPERSON = "SALESPERSON"
    COSALES = "COSALES"
    WARRIOR = "WARRIOR"
    PARTNER = "PARTNER"
    CUSTOMER_SUCCESS = "CUSTOMER_SUCCESS"
    INTEGRATION = "INTEGRATION"
    DEV = "DEV"
    GUEST = "GUEST"


class Status(StrEnum):
    NEW = "new"
    CONTACTED = "contacted"
    QUALIFIED = "qualified"
    DEMO = "demo"
    PROPOSAL = "proposal"
    TRIAL = "trial"
    WON = "won"
    LOST = "lost"
    UNQUALIFIED = "unqualified"


class May(StrEnum):
    CAPTURE = "capture"
    EDIT = "edit"
    NOTE = "note"
    FOLLOW_UP = "follow_up"
    REOPEN = "reopen"
    ASSIGN = "assign"
    SHARE = "share"
    ARCHIVE = "archive"
    UNDO_OTHERS = "undo_others"
    PEOPLE = "people"
    LEDGER = "ledger"
    AUDIT = "audit"


class Whom(StrEnum):
    """Which leads a role may assign, and to whom."""

    ANYONE = "anyone"  # any lead, to anyone
    OWN_PEOPLE = "own_people"  # leads of the pool and of own people, to own people
    OWN_WARRIORS = "own_warriors"  # own leads, to own warriors
    POOL_TO_SALES = "pool_to_sales"  # leads of the pool, to any salesperson
    NOBODY = "nobody"


EVERY_STATUS = frozenset(Status)
OPEN = (Status.NEW, Status.CONTACTED, Status.QUALIFIED, Status.DEMO, Status.PROPOSAL, Status.TRIAL)
IN_WORK = frozenset({*OPEN, Status.WON}) - {Status.NEW}


@dataclass(frozen=True, slots=True)
class Rights:
    sees: frozenset[Status]
    sets: frozenset[Status]
    may: frozenset[May]
    assigns: Whom
    own_only: frozenset[May]
    """Of `may`, what holds for leads that are his own (salesperson) only."""
    view: str
    pages: tuple[str, ...]


_WORK = frozenset({May.CAPTURE, May.EDIT, May.NOTE, May.FOLLOW_UP})
_LEAD = _WORK | {May.REOPEN, May.ASSIGN, May.SHARE, May.ARCHIVE}
_SALES_PAGES = ("dashboard", "board", "leads", "inbox", "followups", "reports")
_ALL_PAGES = (
    *(
        "dashboard",
        "board",
        "leads",
        "inbox",
        "followups",
        "tickets",
        "reports",
        "team",
        "wallboards",
        "settings",
        "audit",
    ),
)

RIGHTS: dict[Role, Rights] = {
    Role.ADMIN: Rights(EVERY_STATUS, EVERY_STATUS, frozenset(May), Whom.ANYONE, frozenset(), "full", _ALL_PAGES),
    Role.MANAGER: Rights(
        EVERY_STATUS,
        EVERY_STATUS,
        _LEAD | {May.UNDO_OTHERS},
        Whom.OWN_PEOPLE,
        frozenset(),
        "full",
        ("dashboard", "board", "leads", "inbox", "followups", "tickets", "reports", "team", "wallboards"),
    ),
    Role.SALESPERSON: Rights(
        EVERY_STATUS,
        EVERY_STATUS,
        _LEAD - {May.REOPEN},
        Whom.OWN_WARRIORS,
        frozenset({May.SHARE, May.ARCHIVE}),
        "standard",
        _SALES_PAGES,
    ),
    Role.COSALES: Rights(
        EVERY_STATUS - {Status.UNQUALIFIED}, EVERY_STATUS, _WORK, Whom.NOBODY, frozenset(), "standard", _SALES_PAGES
    ),
    Role.WARRIOR: Rights(
        IN_WORK,
        frozenset({Status.CONTACTED, Status.QUALIFIED, Status.UNQUALIFIED, Status.DEMO, Status.PROPOSAL}),
        _WORK,
        Whom.NOBODY,
        frozenset(),
        "standard",
        ("dashboard", "board", "leads", "inbox", "followups"),
    ),
    Role.PARTNER: Rights(
        IN_WORK,
        frozenset(),
        frozenset({May.CAPTURE, May.FOLLOW_UP}),
        Whom.NOBODY,
        frozenset(),
        "partner",
        ("dashboard", "leads", "followups", "reports"),
    ),
    Role.CUSTOMER_SUCCESS: Rights(
        frozenset({Status.TRIAL, Status.WON}),
        frozenset(),
        frozenset({May.CAPTURE, May.NOTE, May.FOLLOW_UP, May.ASSIGN}),
        Whom.POOL_TO_SALES,
        frozenset(),
        "standard",
        ("dashboard", "leads", "inbox", "tickets", "followups", "reports"),
    ),
    Role.INTEGRATION: Rights(
        EVERY_STATUS,
        frozenset({Status.NEW}),
        frozenset({May.CAPTURE, May.EDIT}),
        Whom.NOBODY,
        frozenset(),
        "integration",
        (),
    ),
    Role.DEV: Rights(
        EVERY_STATUS, EVERY_STATUS, _LEAD - {May.REOPEN} | {May.LEDGER, May.AUDIT}, Whom.ANYONE, frozenset(), "full", ()
    ),
    Role.GUEST: Rights(
        EVERY_STATUS, frozenset(), frozenset(), Whom.NOBODY, frozenset(), "guest", ("board", "leads", "partners")
    ),
}

NOTHING = Rights(frozenset(), frozenset(), frozenset(), Whom.NOBODY, frozenset(), "nothing", ())


def rights_of(role: str) -> Rights:
    """The rights of a role's name; of an unknown one: none."""
    return RIGHTS.get(role, NOTHING)  # type: ignore[call-overload, no-any-return]


# Views: which fields of a lead can be seen. What a view does not name it never sends: not in a list, a frame or an export.

_WHAT = frozenset(
    {
        "id",
        "version",
        "status",
        "status_at",
        "rank",
        "name",
        "firm_name",
        "first_name",
        "last_name",
        "source",
        "event_name",
    }
    | {
        "word_of_mouth_type",
        "other_source_type",
        "lead_type",
        "industry",
        "nature_of_business",
        "erp",
        "city",
        "zip_code",
    }
    | {"lost_reason", "next_followup_at", "sla", "created_at", "updated_at", "archived_at"}
)
_REACHED = frozenset({"email", "phone"})
_MONEY = frozenset({"value", "currency"})
_PEOPLE = frozenset({"salesperson", "warrior", "support", "shared_with", "created_by", "updated_by"})
_TALK = frozenset({"last_message", "last_message_at", "waiting_since", "unread"})

VIEWS: dict[str, frozenset[str]] = {
    "full": _WHAT | _REACHED | _MONEY | _PEOPLE | _TALK | {"partner_company", "comments"},
    "standard": _WHAT | _REACHED | _MONEY | _PEOPLE | _TALK | {"partner_company", "comments"},
    "partner": _WHAT | _REACHED | _TALK | {"partner_company", "comments"},
    "integration": _WHAT | _REACHED | _MONEY | _PEOPLE | {"partner_company", "comments"},
    "guest": _WHAT | _PEOPLE | {"partner_company"},
    "nothing": frozenset(),
}
TELLS_TIMELINE = frozenset({"full", "standard", "partner", "guest"})
"""The views that may read a timeline at all."""
