"""The role tables, written out a second time: a slip in one of them shows as a difference."""

import pytest

from backend.access.roles import NOTHING, RIGHTS, VIEWS, May, Rights, Role, rights_of

EVERY = "new contacted qualified demo proposal trial won lost unqualified"
MOST = "new contacted qualified demo proposal trial won lost"
IN_WORK = "contacted qualified demo proposal trial won"
SALES_PAGES = "dashboard board leads inbox followups reports"

# role: (sees, sets, view, pages)
SEES_AND_SETS = {
    "ADMIN": (
        EVERY,
        EVERY,
        "full",
        "dashboard board leads inbox followups tickets reports team wallboards settings audit",
    ),
    "MANAGER": (EVERY, EVERY, "full", "dashboard board leads inbox followups tickets reports team wallboards"),
    "SALESPERSON": (EVERY, EVERY, "standard", SALES_PAGES),
    "COSALES": (MOST, EVERY, "standard", SALES_PAGES),
    "WARRIOR": (
        IN_WORK,
        "contacted qualified unqualified demo proposal",
        "standard",
        "dashboard board leads inbox followups",
    ),
    "PARTNER": (IN_WORK, "", "partner", "dashboard leads followups reports"),
    "CUSTOMER_SUCCESS": ("trial won", "", "standard", "dashboard leads inbox tickets followups reports"),
    "INTEGRATION": (EVERY, "new", "integration", ""),
    "DEV": (EVERY, EVERY, "full", ""),
    "GUEST": (EVERY, "", "guest", "board leads partners"),
}

# permission: the roles that have it; * only for leads of one's own
MAY = {
    "capture": "ADMIN MANAGER SALESPERSON COSALES WARRIOR PARTNER CUSTOMER_SUCCESS INTEGRATION DEV",
    "edit": "ADMIN MANAGER SALESPERSON COSALES WARRIOR INTEGRATION DEV",
    "note": "ADMIN MANAGER SALESPERSON COSALES WARRIOR CUSTOMER_SUCCESS DEV",
    "follow_up": "ADMIN MANAGER SALESPERSON COSALES WARRIOR PARTNER CUSTOMER_SUCCESS DEV",
    "reopen": "ADMIN MANAGER",
    "assign": "ADMIN MANAGER SALESPERSON CUSTOMER_SUCCESS DEV",
    "share": "ADMIN MANAGER SALESPERSON* DEV",
    "archive": "ADMIN MANAGER SALESPERSON* DEV",
    "undo_others": "ADMIN MANAGER",
    "people": "ADMIN",
    "ledger": "ADMIN DEV",
    "audit": "ADMIN DEV",
}

ASSIGNS = {
    "ADMIN": "anyone",
    "MANAGER": "own_people",
    "SALESPERSON": "own_warriors",
    "CUSTOMER_SUCCESS": "pool_to_sales",
    "DEV": "anyone",
}

# role: the fields of a lead that its view hides
HIDDEN = {
    "ADMIN": set(),
    "MANAGER": set(),
    "SALESPERSON": set(),
    "COSALES": set(),
    "WARRIOR": set(),
    "PARTNER": {"value", "currency", "salesperson", "warrior", "support", "shared_with", "created_by", "updated_by"},
    "CUSTOMER_SUCCESS": set(),
    "INTEGRATION": {"last_message", "last_message_at", "waiting_since", "unread"},
    "DEV": set(),
    "GUEST": {"phone", "email", "value", "currency", "comments", "last_message", "last_message_at"}
    | {"waiting_since", "unread"},
}

UNKNOWN = ("", "admin", "ADMIN ", "Super Admin", "ROOT", "SYSTEM", "nothing", "SALES")


def _names(values: object) -> set[str]:
    return {str(v) for v in values}  # type: ignore[attr-defined]


def test_there_are_exactly_these_roles() -> None:
    assert _names(Role) == set(SEES_AND_SETS) == {str(r) for r in RIGHTS}


@pytest.mark.parametrize("role", SEES_AND_SETS)
def test_a_role_sees_and_sets_the_statuses_of_the_contract(role: str) -> None:
    sees, sets, view, pages = SEES_AND_SETS[role]
    rights = rights_of(role)
    assert _names(rights.sees) == set(sees.split())
    assert _names(rights.sets) == set(sets.split())
    assert rights.view == view
    assert rights.pages == tuple(pages.split())


@pytest.mark.parametrize("permission", MAY)
def test_a_permission_belongs_to_the_roles_of_the_contract(permission: str) -> None:
    holders = {name.rstrip("*") for name in MAY[permission].split()}
    own_only = {name.rstrip("*") for name in MAY[permission].split() if name.endswith("*")}
    assert {role.value for role, rights in RIGHTS.items() if permission in rights.may} == holders
    assert {role.value for role, rights in RIGHTS.items() if permission in rights.own_only} == own_only


def test_every_permission_is_in_the_table() -> None:
    assert _names(May) == set(MAY)


@pytest.mark.parametrize("role", SEES_AND_SETS)
def test_a_role_assigns_to_whom_the_contract_says(role: str) -> None:
    assert str(rights_of(role).assigns) == ASSIGNS.get(role, "nobody")


@pytest.mark.parametrize("role", SEES_AND_SETS)
def test_a_view_hides_the_fields_of_the_contract(role: str) -> None:
    assert VIEWS["full"] - VIEWS[rights_of(role).view] == HIDDEN[role]


@pytest.mark.parametrize("role", UNKNOWN)
def test_an_unknown_role_sees_and_may_nothing(role: str) -> None:
    rights = rights_of(role)
    assert rights == NOTHING
    assert rights == Rights(frozenset(), frozenset(), frozenset(), rights.assigns, frozenset(), "nothing", ())
    assert str(rights.assigns) == "nobody"
    assert VIEWS[rights.view] == frozenset()
