"""What may be written to a lead, how it is cleaned, and what each view is shown."""

from typing import Any

import pytest

from backend.access.roles import VIEWS
from backend.access.scope import People
from backend.errors import Invalid
from backend.leads.fields import LeadRow, called, cleaned, normal_phone, shown, shown_within, words

NOBODY = People()


def _row(**columns: Any) -> LeadRow:
    given: dict[str, Any] = dict.fromkeys(LeadRow._fields)
    given |= {"id": 2**62, "version": 3, "status": "demo", "status_at": 1_700_000_000_000_000, "rank": -7}
    given |= {"name": "Priya Raman", "source": "Manual", "currency": "EUR", "unread": 0}
    given |= {"created_at": 1_700_000_000_000_000, "updated_at": 1_700_000_000_000_001}
    return LeadRow(**{**given, **columns})


SERVER_OWN = (
    *("id", "version", "status", "status_at", "rank", "phone_reversed", "salesperson_id", "warrior_id", "support_id"),
    *("partner_company_id", "lost_reason", "last_message", "waiting_since", "unread", "created_at", "created_by"),
    *("updated_at", "updated_by", "archived_at", "role", "tenant_id", "owner_id", "score", "is_deleted", "full_name"),
    *("__class__", "name\u0000", ""),
)


@pytest.mark.parametrize("field", SERVER_OWN)
def test_what_is_the_hubs_own_is_not_written(field: str) -> None:
    with pytest.raises(Invalid) as caught:
        cleaned({"firm_name": "Acme", field: "x"}, None)
    assert caught.value.extra["errors"][0]["field"] == field if field else True


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"name": "  Priya Raman "}, {"name": "Priya Raman"}),
        ({"name": "   "}, {"name": None}),
        ({"firm_name": "Cafe\u0301"}, {"firm_name": "Café"}),
        ({"email": " Priya@EXAMPLE.com "}, {"email": "Priya@example.com"}),
        ({"email": ""}, {"email": None}),
        ({"source": "whatsapp_ad"}, {"source": "WhatsApp ad"}),
        ({"source": "word-of-mouth"}, {"source": "Word of mouth"}),
        ({"source": "EVENT"}, {"source": "Event"}),
        ({"erp": "sap s/4hana"}, {"erp": "SAP S/4HANA"}),
        ({"lead_type": None, "industry": None}, {"lead_type": None, "industry": None}),
        ({"value": 18000}, {"value": 1_800_000}),
        ({"value": "0.29"}, {"value": 29}),
        ({"value": None}, {"value": None}),
        ({"next_followup_at": 17}, {"next_followup_at": 17}),
        ({"phone": "+44 7700 900142"}, {"phone": "+447700900142", "phone_reversed": "241009007744"}),
        ({"phone": ""}, {"phone": None, "phone_reversed": None}),
    ],
)
def test_a_field_is_stored_clean(given: dict[str, Any], stored: dict[str, Any]) -> None:
    assert cleaned(given, None) == stored


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("email", v) for v in ("nobody", "a@b@c", "a b@example.com", "a@example.com\r\nBcc: x@y.z", "@example.com")),
        *(("source", v) for v in ("Fax", None, "", "Manual'; DROP TABLE leads")),
        *(("industry", v) for v in ("Piracy", "")),
        *(("phone", v) for v in ("call me", "-", "1" * 51)),
    ],
)
def test_what_can_not_be_meant_is_refused_by_name(field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        cleaned({field: value}, None)
    assert caught.value.extra["errors"][0]["field"] == field


@pytest.mark.parametrize(
    ("typed", "region", "kept", "digits"),
    [
        ("+44 (0)7700 900142", None, "+447700900142", "447700900142"),
        ("07700 900142", "GB", "+447700900142", "447700900142"),
        ("07700 900142", None, "07700 900142", "07700900142"),
        ("98765 43210", "IN", "+919876543210", "919876543210"),
        ("+999 1", None, "+999 1", "9991"),
        ("ext. 12", None, "ext. 12", "12"),
        ("  ", None, None, ""),
        (None, "GB", None, ""),
    ],
)
def test_a_phone_number_is_read_only_where_it_is_unambiguous(
    typed: str | None, region: str | None, kept: str | None, digits: str
) -> None:
    assert normal_phone(typed, region) == (kept, digits)


@pytest.mark.parametrize(
    ("fields", "name"),
    [
        ({"first_name": "Priya", "last_name": "Raman", "name": "pr", "firm_name": "Acme"}, "Priya Raman"),
        ({"last_name": "Raman"}, "Raman"),
        ({"name": "pr", "firm_name": "Acme"}, "pr"),
        ({"firm_name": "Acme", "phone": "+447700900142"}, "Acme"),
        ({"phone": "+447700900142", "email": "a@b.example"}, "+447700900142"),
        ({"email": "a@b.example"}, "a@b.example"),
    ],
)
def test_a_lead_is_called_what_one_would_call_it(fields: dict[str, str], name: str) -> None:
    assert called(fields) == name


def test_a_lead_that_can_not_be_called_anything_is_refused() -> None:
    with pytest.raises(Invalid):
        called({"city": "Pune", "name": None})


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Müller & Söhne GmbH", {"muller", "sohne", "gmbh"}),
        ("O'Brien-Smith", {"o", "brien", "smith"}),
        ("STRASSE Straße", {"strasse"}),
        ("ﬁrm ①", {"firm", "1"}),
        ("प्रिया रमन", {"परय", "रमन"}),
        ("'); DROP TABLE leads;--", {"drop", "table", "leads"}),
        ("%_*", set()),
        ("", set()),
    ],
)
def test_words_are_folded_for_search(text: str, found: set[str]) -> None:
    assert words(text) == found


def test_a_word_is_bounded() -> None:
    assert {len(w) for w in words("x" * 10_000)} == {60}


@pytest.mark.parametrize("view", ["full", "standard", "partner", "integration", "guest", "nothing"])
def test_a_view_is_shown_its_fields_and_no_other(view: str) -> None:
    filled = _row(
        **dict.fromkeys(("salesperson_id", "warrior_id", "support_id", "partner_company_id", "created_by", "value"), 5),
        **dict.fromkeys(("email", "phone", "comments", "last_message", "firm_name"), "CANARY"),
    )
    out = shown(filled, ((5, "share"), (6, "ticket")), NOBODY, view)
    assert set(out) == VIEWS[view]
    assert not {"phone_reversed", "created_via", "updated_via", "salesperson_id"} & set(out)


def test_ids_ranks_money_and_times_are_shown_as_the_contract_says() -> None:
    out = shown(_row(value=1_800_050, salesperson_id=5), ((7, "share"), (8, "ticket")), NOBODY, "full")
    assert out["id"] == str(2**62) and out["rank"] == "-7"
    assert out["value"] == 18000.5 and shown(_row(value=1_800_000), (), NOBODY, "full")["value"] == 18000
    assert out["created_at"] == "2023-11-14T22:13:20.000000Z"
    assert out["salesperson"] == {"id": "5", "name": "Somebody who has left"}
    assert [p["id"] for p in out["shared_with"]] == ["7"]
    assert shown(_row(created_via="whatsapp"), (), NOBODY, "full")["created_by"] == {"id": None, "name": "whatsapp"}


@pytest.mark.parametrize("name", ["+447700900142", "07700 900142", "priya@example.com", "(020) 7946-0018"])
def test_a_name_that_is_a_phone_number_or_an_address_is_told_only_where_those_are(name: str) -> None:
    assert shown_within("guest", "name", name, NOBODY) == "Unnamed"
    assert shown(_row(name=name), (), NOBODY, "guest")["name"] == "Unnamed"
    for view in ("full", "standard", "partner", "integration"):
        assert shown_within(view, "name", name, NOBODY) == name


@pytest.mark.parametrize("name", ["Priya Raman", "Studio 54", "Route 66000", "1984", "₹"])
def test_any_other_name_is_told_to_a_guest(name: str) -> None:
    assert shown_within("guest", "name", name, NOBODY) == name
