"""The fields of a lead: what may be written, how it is checked, how a row becomes what a view may see of it."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from functools import lru_cache
from typing import Any, NamedTuple

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from ..access.roles import VIEWS, Status
from ..access.scope import People
from ..errors import Invalid
from ..store.ids import rfc3339

SOURCES = (
    *(
        "WhatsApp",
        "WhatsApp ad",
        "Messenger",
        "Instagram",
        "Facebook",
        "LinkedIn",
        "Website",
        "Referral",
        "Word of mouth",
    ),
    *("Event", "Phone", "Email", "Import", "ERP", "API", "Manual", "Other"),
)
TYPES = ("Business", "Individual", "Partner")
INDUSTRIES = (
    *(
        "Agriculture",
        "Automotive",
        "Construction",
        "Education",
        "Energy",
        "Finance",
        "Food",
        "Healthcare",
        "Hospitality",
    ),
    *(
        "IT services",
        "Logistics",
        "Manufacturing",
        "Media",
        "Public sector",
        "Real estate",
        "Retail",
        "Textiles",
        "Other",
    ),
)
LOST_REASONS = ("Budget", "Timeline", "Competition", "No decision", "No need", "Missing feature", "No answer", "Other")
ERPS = (
    *(
        "Tally",
        "Zoho",
        "SAP Business One",
        "SAP S/4HANA",
        "Odoo",
        "ERPNext",
        "NetSuite",
        "Business Central",
        "QuickBooks",
    ),
    *("Xero", "Sage", "Busy", "Marg", "Tryton", "None", "Other"),
)
NATURES = ("B2B", "B2C", "B2B2C", "D2C", "Government", "Non-profit")

OPTIONS: dict[str, tuple[str, ...]] = {
    "statuses": tuple(s.value for s in Status),
    "types": TYPES,
    "industries": INDUSTRIES,
    "sources": SOURCES,
    "lost_reasons": LOST_REASONS,
    "erps": ERPS,
    "natures_of_business": NATURES,
}
_CHOICES = {
    "source": SOURCES,
    "lead_type": TYPES,
    "industry": INDUSTRIES,
    "erp": ERPS,
    "nature_of_business": NATURES,
}


class LeadRow(NamedTuple):
    """A row of `leads`, in the order of its columns."""

    id: int
    version: int
    status: str
    status_at: int
    rank: int
    name: str
    firm_name: str | None
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    phone_reversed: str | None
    source: str
    event_name: str | None
    word_of_mouth_type: str | None
    other_source_type: str | None
    lead_type: str | None
    industry: str | None
    nature_of_business: str | None
    erp: str | None
    city: str | None
    zip_code: str | None
    comments: str | None
    value: int | None
    currency: str
    salesperson_id: int | None
    warrior_id: int | None
    partner_company_id: int | None
    support_id: int | None
    lost_reason: str | None
    next_followup_at: int | None
    last_message: str | None
    last_message_at: int | None
    waiting_since: int | None
    unread: int
    created_at: int
    created_by: int | None
    created_via: str | None
    updated_at: int
    updated_by: int | None
    updated_via: str | None
    archived_at: int | None


Shares = tuple[tuple[int, str], ...]
"""(person, kind), sorted: the rows of `lead_shares` of one lead."""

WRITABLE = frozenset(
    {"name", "firm_name", "first_name", "last_name", "email", "phone", "source", "event_name", "word_of_mouth_type"}
    | {"other_source_type", "lead_type", "industry", "nature_of_business", "erp", "city", "zip_code", "comments"}
    | {"value", "currency", "next_followup_at"}
)

# What came in → what is stored --------------------------------------------------------------------------------------------


def cleaned(given: Mapping[str, Any], region: str | None) -> dict[str, Any]:
    """Columns to store for the fields given; raises Invalid naming the field. `region` (ISO 3166) reads national phone numbers."""
    unknown = set(given) - WRITABLE
    if unknown:
        raise Invalid("There is no such field to write.", field=sorted(unknown)[0])
    out: dict[str, Any] = {}
    for name, value in given.items():
        clean: Callable[[str, Any], Any] = _CLEANERS.get(name, _text)
        out[name] = clean(name, value)
    if "phone" in out:
        out["phone"], digits = normal_phone(out["phone"], region)
        out["phone_reversed"] = digits[::-1] or None
    return out


def _text(name: str, value: Any) -> str | None:
    text = unicodedata.normalize("NFC", value).strip() if isinstance(value, str) else value
    return text or None


def _choice(name: str, value: Any) -> str | None:
    if value is None and name != "source":
        return None
    folded = _fold_choice(str(value))
    for option in _CHOICES[name]:
        if _fold_choice(option) == folded:
            return option
    raise Invalid(f"{value!r} is not one of the options.", field=name)


def _fold_choice(text: str) -> str:
    return re.sub(r"[\s_-]+", "", text).casefold()


def _email(name: str, value: Any) -> str | None:
    if not value:
        return None
    try:
        return validate_email(value.strip(), check_deliverability=False).normalized
    except EmailNotValidError:
        raise Invalid("This is not an e-mail address.", field=name) from None


def _minor(name: str, value: Any) -> int | None:
    return None if value is None else int((Decimal(str(value)) * 100).to_integral_value())


def _as_is(name: str, value: Any) -> Any:
    return value


_CLEANERS: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(_CHOICES, _choice),
    "email": _email,
    "value": _minor,
    "next_followup_at": _as_is,
    "phone": _as_is,
}


def normal_phone(text: str | None, region: str | None) -> tuple[str | None, str]:
    """(what to show, digits of the E.164 form).

    A number that can't be read unambiguously stays as typed and has its bare digits. The region is the company's own and serves
    what people type; providers' numbers come with "+" and need none: a guessed country would merge strangers.
    """
    if not text or not text.strip():
        return None, ""
    text = text.strip()
    if len(text) > 50 or not re.search(r"\d", text):
        raise Invalid("This is not a phone number.", field="phone")
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return text, re.sub(r"\D", "", text)
    if not phonenumbers.is_possible_number(number):
        return text, re.sub(r"\D", "", text)
    shown = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    return shown, shown[1:]


def called(fields: Mapping[str, Any]) -> str:
    """What one would call the lead: the person's name, else the firm, else how to reach him."""
    person = " ".join(part for part in (fields.get("first_name"), fields.get("last_name")) if part)
    for name in (person, fields.get("name"), fields.get("firm_name"), fields.get("phone"), fields.get("email")):
        if name:
            return str(name)
    raise Invalid("A lead needs a name, a firm, a phone number or an e-mail address.", field="name")


# Search --------------------------------------------------------------------------------------------------------------------

WORD = 60


@lru_cache(4096)
def words(text: str) -> frozenset[str]:
    """The folded words of a text: case, compatibility forms and Latin accents don't matter to a search."""
    folded = unicodedata.normalize("NFKD", text).casefold()
    folded = "".join(c for c in folded if not "\u0300" <= c <= "\u036f")
    return frozenset(w[:WORD] for w in re.split(r"[\W_]+", _joined_marks(folded)) if w)


def _joined_marks(text: str) -> str:
    # vowel signs of Indic scripts are marks, not letters: they must not cut a word in two
    return "".join("" if unicodedata.category(c) in ("Mn", "Mc") else c for c in text)


# What is stored → what a view sees -----------------------------------------------------------------------------------------

_PEOPLE = {"salesperson_id": "salesperson", "warrior_id": "warrior", "support_id": "support"}
_TIMES = (
    "status_at",
    "next_followup_at",
    "last_message_at",
    "waiting_since",
    "created_at",
    "updated_at",
    "archived_at",
)
_HIDDEN = frozenset({"phone_reversed", "created_via", "updated_via"})
FIELD_OF = {**_PEOPLE, "partner_company_id": "partner_company"}
"""Stored column → field of the API, where the names differ."""


def field_of(column: str) -> str | None:
    """The API's field for a stored column; None when it is for the store alone."""
    return None if column in _HIDDEN else FIELD_OF.get(column, column)


def shown_value(column: str, value: Any, people: People) -> Any:
    """A stored value as the API says it: ids as strings, times as RFC 3339, people as {id, name}, money in major units."""
    if value is None:
        return None
    if column in _PEOPLE or column in ("created_by", "updated_by"):
        return {"id": str(value), "name": people.name(value) or "Somebody who has left"}
    if column == "partner_company_id":
        return {"id": str(value), "name": people.partner_companies.get(value, "A former partner")}
    if column == "shared_with":
        return [{"id": str(p), "name": people.name(p) or "Somebody who has left"} for p in value]
    if column in _TIMES:
        return rfc3339(value)
    if column == "value":
        return value // 100 if value % 100 == 0 else value / 100
    if column in ("id", "rank"):
        return str(value)
    return value


UNNAMED = "Unnamed"


def shown_within(view: str, column: str, value: Any, people: People) -> Any:
    """As `shown_value`; a name that is a phone number or an e-mail address is told only to a view that shows those."""
    if column == "name" and value and "phone" not in VIEWS[view] and _reaches(value):
        return UNNAMED
    return shown_value(column, value, people)


def _reaches(name: str) -> bool:
    return "@" in name or (sum(c.isdigit() for c in name) >= 5 and not any(c.isalpha() for c in name))


def shown(
    lead: LeadRow, shares: Shares, people: People, view: str, only: Iterable[str] | None = None
) -> dict[str, Any]:
    """The lead as this view may see it. `only` narrows to some columns (and `shared_with`)."""
    fields = VIEWS[view]
    columns = LeadRow._fields if only is None else only
    out: dict[str, Any] = {}
    for column in columns:
        name = field_of(column)
        if name in fields and column in LeadRow._fields:
            out[name] = shown_within(view, column, getattr(lead, column), people)
    for by, via in (("created_by", "created_via"), ("updated_by", "updated_via")):
        if by in out and out[by] is None and getattr(lead, via):
            out[by] = {"id": None, "name": getattr(lead, via)}
    if "shared_with" in fields and (only is None or "shared_with" in only):
        out["shared_with"] = shown_value("shared_with", [p for p, kind in shares if kind == "share"], people)
    if only is None and "sla" in fields:
        out["sla"] = None
    return out
