"""Which status follows which, for whom, and what it demands: the table written out a second time."""

import pytest

from backend.access.roles import NOTHING, rights_of
from backend.errors import HubError, Invalid, NotAllowed
from backend.leads.lifecycle import COLORS, TITLES, IllegalMove, allowed_moves, check_move

ALL = ("new", "contacted", "qualified", "demo", "proposal", "trial", "won", "lost", "unqualified")
OPEN = ALL[:6]

# from: the statuses it may move to
LEGAL = {
    "new": "contacted qualified demo proposal trial lost unqualified",
    "contacted": "new qualified demo proposal trial lost unqualified",
    "qualified": "new contacted demo proposal trial lost unqualified",
    "demo": "new contacted qualified proposal trial won lost unqualified",
    "proposal": "new contacted qualified demo trial won lost unqualified",
    "trial": "new contacted qualified demo proposal won lost unqualified",
    "won": "new contacted qualified demo proposal trial",
    "lost": "new contacted qualified demo proposal trial",
    "unqualified": "new contacted qualified demo proposal trial",
}

# role: (what it may set, may it reopen)
SETS = {
    "ADMIN": (ALL, True),
    "MANAGER": (ALL, True),
    "SALESPERSON": (ALL, False),
    "COSALES": (ALL, False),
    "WARRIOR": (("contacted", "qualified", "unqualified", "demo", "proposal"), False),
    "PARTNER": ((), False),
    "CUSTOMER_SUCCESS": ((), False),
    "INTEGRATION": (("new",), False),
    "DEV": (ALL, False),
    "GUEST": ((), False),
    "SUPER_ADMIN": ((), False),
}


def _expected(role: str, current: str, to: str) -> type[HubError] | None:
    sets, reopens = SETS[role]
    if to not in sets or (current not in OPEN and not reopens):
        return NotAllowed
    return None if to in LEGAL[current].split() else IllegalMove


@pytest.mark.parametrize("role", SETS)
@pytest.mark.parametrize("current", ALL)
def test_a_move_is_what_table_and_role_allow(role: str, current: str) -> None:
    rights = rights_of(role)
    allowed = []
    for to in ALL:
        refused = _expected(role, current, to)
        if refused is None:
            allowed.append(to)
            assert check_move(current, to, rights, firm_name="Acme", reason="Budget") == to
        else:
            with pytest.raises(refused) as caught:
                check_move(current, to, rights, firm_name="Acme", reason="Budget")
            assert type(caught.value) is refused
    assert allowed_moves(current, rights) == allowed


@pytest.mark.parametrize("firm_name", [None, ""])
@pytest.mark.parametrize("current", ["demo", "proposal", "trial"])
def test_winning_demands_the_name_of_the_firm(current: str, firm_name: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        check_move(current, "won", rights_of("ADMIN"), firm_name=firm_name, reason="because")
    assert caught.value.extra["errors"][0]["field"] == "firm_name"


@pytest.mark.parametrize("reason", [None, ""])
@pytest.mark.parametrize("to", ["lost", "unqualified"])
@pytest.mark.parametrize("current", OPEN)
def test_giving_up_demands_a_reason(current: str, to: str, reason: str | None) -> None:
    with pytest.raises(Invalid) as caught:
        check_move(current, to, rights_of("ADMIN"), firm_name="Acme", reason=reason)
    assert caught.value.extra["errors"][0]["field"] == "reason"


@pytest.mark.parametrize("to", OPEN)
def test_a_move_along_the_line_demands_nothing(to: str) -> None:
    current = "demo" if to != "demo" else "trial"
    assert check_move(current, to, rights_of("SALESPERSON"), firm_name=None, reason=None) == to


@pytest.mark.parametrize("to", ["", "WON", "archived", "new ", "constructor", "\u0000"])
def test_what_is_not_a_status_is_invalid(to: str) -> None:
    with pytest.raises(Invalid) as caught:
        check_move("demo", to, rights_of("ADMIN"), firm_name="Acme", reason="x")
    assert caught.value.extra["errors"][0]["field"] == "status"


def test_an_illegal_move_says_what_would_be_legal() -> None:
    with pytest.raises(IllegalMove) as caught:
        check_move("new", "won", rights_of("ADMIN"), firm_name="Acme", reason=None)
    assert caught.value.extra["allowed"] == LEGAL["new"].split()


@pytest.mark.parametrize("current", ALL)
def test_a_role_without_rights_moves_nothing(current: str) -> None:
    assert allowed_moves(current, NOTHING) == []


def test_every_status_has_a_title_and_a_colour_of_its_own() -> None:
    assert [t.lower() for t in TITLES.values()] == list(ALL)
    assert set(COLORS) == set(ALL) and len(set(COLORS.values())) == len(ALL)
