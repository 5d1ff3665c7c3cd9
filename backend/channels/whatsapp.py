"""WhatsApp Cloud API: the bytes of a webhook in, units of `contract.py` out. Nothing here stores, sends or knows a company.

Shapes are those of Meta's docs, business-messaging/whatsapp/webhooks/reference (August 2026), read tolerantly: a wrong type
spoils its own unit and no other, and what is new is kept whole.
"""

import hmac
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from functools import lru_cache, partial
from hashlib import sha256
from typing import Any, NamedTuple

import orjson
import phonenumbers

from backend.channels import contract
from backend.channels.contract import Broken, Delivery, IdentityMoved, Noticed, Part, Reacted, Said, StateReported, Unit

__all__ = ["WhatsApp", "whatsapp"]

Json = dict[str, Any]
Content = tuple[str, Json]
"""What a message says on one line, and what we add to its data."""

OBJECT = "whatsapp_business_account"
ID_LIMIT, USER_LIMIT, LINE_LIMIT, TEXT_LIMIT, WORD_LIMIT, DEPTH_LIMIT = 512, 160, 200, 8_000, 32, 32
SECOND, EARLIEST, DAY = 1_000_000, 1_230_768_000_000_000, 86_400_000_000  # microseconds; EARLIEST is 2009-01-01

SIGNATURE = re.compile(r"sha256=[0-9a-f]{64}")
CHALLENGE = re.compile(r"[0-9]{1,64}")
DIGITS = re.compile(r"[0-9]{4,20}")
SECONDS = re.compile(r"[0-9]{1,12}")
PRICE = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?")
CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
NOT_WORD = re.compile(r"[^A-Za-z0-9_.-]")


class WhatsApp:
    """The translator. It has no state: one object serves every account."""

    name = "whatsapp"

    def verify(self, raw: bytes, signature: str | None, secrets: list[bytes]) -> int | None:
        """The index of the app secret that signed exactly these bytes, else None.

        `signature` is the header X-Hub-Signature-256: `sha256=` and 64 lower-case hex digits of HMAC-SHA256 (Meta docs,
        graph-api/webhooks/getting-started). Every secret is tried even after a match, so that time tells nothing.
        """
        if signature is None or not SIGNATURE.fullmatch(signature):
            return None
        expected = [f"sha256={hmac.new(secret, raw, sha256).hexdigest()}" if secret else "" for secret in secrets]
        signers = [index for index, right in enumerate(expected) if hmac.compare_digest(right, signature)]
        return signers[0] if signers else None

    def handshake(self, params: Mapping[str, str], token: str) -> str | None:
        """The challenge to echo as text/plain to Meta's verification GET, None when it must be refused.

        Only digits are echoed, so that nothing of a stranger's making is reflected; an empty `token` never matches.
        """
        given, challenge = params.get("hub.verify_token", ""), params.get("hub.challenge", "")
        same = hmac.compare_digest(given.encode("utf-8", "replace"), token.encode("utf-8", "replace"))
        wanted = params.get("hub.mode") == "subscribe" and CHALLENGE.fullmatch(challenge)
        return challenge if token and same and wanted else None

    def read(self, raw: bytes, now: int) -> Delivery:
        """Translate one POST; `now` in microseconds UTC. Never raises.

        What makes a unit the same unit again: a message or notice its `provider_id`; a status its (wamid, state), because it
        carries the wamid of the message it is about; a move its (wamid, kind of identity), because one change of number
        moves several identities.
        """
        try:
            body = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            return Delivery(broken=f"not JSON: {error.msg}")
        if not isinstance(body, dict) or body.get("object") != OBJECT:
            return Delivery(broken=f"not an object of kind {OBJECT}")
        if not isinstance(body.get("entry"), list):
            return Delivery(broken="entry is not a list")
        return by_account(body["entry"], now)


whatsapp = WhatsApp()


# --- from a POST to the units of each account


class Around(NamedTuple):
    """What a unit needs of the change it came in. `people`: its contacts by identity; `only`: the contact when there is one."""

    now: int
    time: int | str | None
    people: dict[contract.Identity, Json]
    only: Json


def by_account(entries: list[object], now: int) -> Delivery:
    """Units grouped by phone_number_id, in the order they came; what names no account is told in `unowned`."""
    parts: dict[str, list[Unit]] = {}
    unowned: list[str] = []
    for entry in entries:
        for change in each(entry.get("changes") if isinstance(entry, dict) else entry):
            content, field = mapping(change).get("value", change), word(mapping(change).get("field")) or "messages"
            number = mapping(mapping(content).get("metadata")).get("phone_number_id")
            account = identifier(str(number) if type(number) is int else number, LINE_LIMIT)
            if account:
                parts.setdefault(account, []).extend(units(field, content, mapping(entry).get("time"), now))
            elif content:
                unowned.append(field)
    return Delivery(
        parts=tuple(Part(account, tuple(found)) for account, found in parts.items() if found),
        unowned=f"no phone_number_id in: {', '.join(dict.fromkeys(unowned))}"[:LINE_LIMIT] if unowned else None,
    )


def units(field: str, value: Json, time: object, now: int) -> Iterator[Unit]:
    """The units of one change. Fields without messages (quality, templates, preferences, calls…) are one notice each."""
    around = around_of(value, time, now)
    if field not in MESSAGE_FIELDS or (value.keys() - FRAME and not value.keys() & LISTS.keys()):
        yield notice(field, value, around)
        return
    for key, translate in LISTS.items():
        for item in each(value.get(key)):
            if not shallow(item):
                yield Broken(f"{key}: nested too deeply", provider_id=identifier(mapping(item).get("id")) or None)
            elif not isinstance(item, dict):
                yield Broken(f"{key}: not an object", item)
            else:
                yield from translate(item, around)


def around_of(value: Json, time: object, now: int) -> Around:
    """Contacts are found by id, never by position: nothing keeps them in step with the messages, which may be 1,000."""
    contacts = [mapping(contact) for contact in each(value.get("contacts"))]
    people = {pair: contact for contact in contacts for pair in ids(contact, *CONTACT_IDS).items() if pair[1]}
    only = contacts[0] if len(contacts) == 1 else {}
    return Around(now, time if isinstance(time, int | str) else None, people, only)


def notice(kind: str, data: Json, around: Around) -> Unit:
    """A notice has no id from Meta: its content and the entry's time make one, the same at each retry."""
    if not shallow(data):
        return Broken(f"{kind}: nested too deeply")
    content = orjson.dumps([kind, around.time, data], option=orjson.OPT_SORT_KEYS)
    return Noticed(f"{kind}:{sha256(content).hexdigest()[:32]}", kind, data)


# --- who


def ids(source: Json, user: str, parent: str, phone: str) -> dict[str, str]:
    """The identities that these members of an object hold, best first, "" where there is none."""
    return {
        "wa_bsuid": identifier(source.get(user), USER_LIMIT),
        "wa_parent_bsuid": identifier(source.get(parent), USER_LIMIT),
        "wa_phone": digits(source.get(phone)),
    }


def contact_of(mine: dict[str, str], around: Around) -> Json:
    """The contact with this user id, else with this number or the only one, unless its other ids say it is someone else."""
    known = around.people.get(("wa_bsuid", mine["wa_bsuid"]))
    contact = known or around.people.get(("wa_phone", mine["wa_phone"]), around.only)
    theirs = ids(contact, *CONTACT_IDS)
    stranger = any(mine[kind] and theirs[kind] not in ("", mine[kind]) for kind in mine)
    return {} if stranger and not known else contact


def sender_of(mine: dict[str, str], contact: Json) -> contract.Sender:
    theirs = ids(contact, *CONTACT_IDS)
    known = {kind: mine[kind] or theirs[kind] for kind in mine}
    identities = tuple((kind, value) for kind, value in known.items() if value)
    return contract.Sender(identities, line(mapping(contact.get("profile")).get("name")), e164(known["wa_phone"]))


# --- one item of a list: a message or an echo, a status, an account error


def message(item: Json, around: Around, side: str = "from") -> Iterable[Unit]:
    """`side` names the person's members in the item: "from" in what they wrote, "to" in the echo of what we wrote."""
    provider_id, kind = identifier(item.get("id")), text(item.get("type"))
    if not provider_id or not kind:
        return [Broken("message without a usable id or type", item, provider_id or None)]
    if kind in ("edit", "revoke") or (kind == "reaction" and side == "to"):
        return [Noticed(provider_id, kind, item)]  # our own thumb up, as a `Reacted`, would be the customer's
    if kind == "system":
        return system(provider_id, item)
    mine = ids(item, f"{side}_user_id", f"{side}_parent_user_id", side)
    contact = contact_of(mine, around)
    sender = sender_of(mine, contact)
    if not sender.identities:
        return [Broken("message without a phone number or a user id", item, provider_id)]
    sent_at = moment(item.get("timestamp"), around.now)
    if kind == "reaction":
        return [reaction(provider_id, sender, sent_at, item)]
    content = content_of(kind, item)
    if content is None:
        return [Broken(f"{word(kind)}: nothing readable in it", item, provider_id)]
    context = mapping(item.get("context"))
    said = Said(
        provider_id=provider_id,
        sender=sender,
        type=word(kind) or "unknown",
        text=content[0][:TEXT_LIMIT],
        sent_at=sent_at,
        data=data_of(kind, item, contact) | content[1],
        reply_to=identifier(context.get("id")) or None,
        referral=mapping(item.get("referral")) or None,
        outgoing=side == "to",
    )
    return [said]


def data_of(kind: str, item: Json, contact: Json) -> Json:
    """The message without what `Said` holds already (an unknown type whole), forwarding and user name brought to the top."""
    kept = {key: value for key, value in item.items() if kind not in CONTENTS or key not in LIFTED}
    context, username = mapping(item.get("context")), line(mapping(contact.get("profile")).get("username"))
    marks = {mark: True for mark in ("forwarded", "frequently_forwarded") if context.get(mark) is True}
    return kept | marks | ({"username": username} if username else {})


def reaction(provider_id: str, sender: contract.Sender, sent_at: int | None, item: Json) -> Unit:
    """Meta takes a reaction away by leaving the emoji out, in older payloads by an empty one."""
    own = mapping(item.get("reaction"))
    target, emoji = identifier(own.get("message_id")), own.get("emoji")
    if not target or not isinstance(emoji, str | None):
        return Broken("reaction without a target or with an unreadable emoji", item, provider_id)
    return Reacted(provider_id, sender, target, line(emoji, WORD_LIMIT) or None, sent_at)


def system(provider_id: str, item: Json) -> Iterable[Unit]:
    """A change of number makes a new user id as well, told in the same message (Meta changelog, 2026-08-11)."""
    own = mapping(item.get("system"))
    kind = word(own.get("type")) or "system"
    if kind not in ("user_changed_user_id", "user_changed_number", "customer_changed_number"):
        return [Noticed(provider_id, kind, item)]
    old = ids(own | {"from": item.get("from")}, "previous_user_id", "previous_parent_user_id", "from")
    new = ids(own, *CONTACT_IDS)
    moves = [IdentityMoved(provider_id, (k, old[k]), (k, new[k])) for k in old if old[k] and new[k] not in ("", old[k])]
    return moves or [Broken(f"{kind}: no old and new identity", item, provider_id)]


def status(item: Json, around: Around) -> Iterable[Unit]:
    """How far one of our messages got; `data` keeps pricing, conversation, recipient ids and all errors."""
    provider_id, state = identifier(item.get("id")), word(item.get("status"))
    if not provider_id or not state:
        return [Broken("status without a usable id or state", item, provider_id or None)]
    at, ours = moment(item.get("timestamp"), around.now), identifier(item.get("biz_opaque_callback_data"))
    data = {key: value for key, value in item.items() if key not in ("id", "status", "timestamp")}
    return [StateReported(provider_id, state, at, reason_of(item) or None, ours or None, data)]


def reason_of(item: Json) -> str:
    """The code and the details of the first error; Meta says not to build on titles (Meta docs, support/error-codes)."""
    error = mapping((each(item.get("errors")) or [None])[0])
    told = (mapping(error.get("error_data")).get("details"), error.get("message"), error.get("title"))
    code = error.get("code")
    why = next(filter(None, map(line, told)), "")
    return ": ".join(filter(None, [str(code) if type(code) is int else word(code), why]))


# --- what a message says; each function gets the object that Meta names after the type


def content_of(kind: str, item: Json) -> Content | None:
    """None when a known type lacks what makes it up, unless Meta says itself that it could not pass the message on."""
    if kind not in CONTENTS:
        return f"Unknown message type: {word(kind) or 'unnamed'}", {}
    own = item.get(kind)
    if own and isinstance(own, dict | list):
        return CONTENTS[kind](own)
    return unsupported(own) if kind == "unsupported" or each(item.get("errors")) else None


def plain(own: object) -> Content | None:
    body = mapping(own).get("body")
    return (clean(body) if clean(body).strip() else "Empty message", {}) if isinstance(body, str) else None


def media(label: str, own: object) -> Content:
    """The caption, else the label and the file's name. Ids and names stay data: nothing is fetched or opened here."""
    caption = clean(mapping(own).get("caption"))
    label = "Voice message" if mapping(own).get("voice") is True else label
    return caption if caption.strip() else labelled(label, line(mapping(own).get("filename"))), {}


def location(own: object) -> Content:
    place = mapping(own)
    spot = [str(place[key]) for key in ("latitude", "longitude") if isinstance(place.get(key), int | float)]
    return labelled("Location", line(place.get("name")) or line(place.get("address")) or ", ".join(spot)), {}


def cards(own: object) -> Content:
    names = [line(mapping(mapping(card).get("name")).get("formatted_name")) for card in each(own)]
    return labelled("Contact card" if len(names) == 1 else "Contact cards", ", ".join(filter(None, names))), {}


def interactive(own: object) -> Content:
    kind = text(mapping(own).get("type"))
    reply = mapping(mapping(own).get(kind))
    if kind == "nfm_reply":
        return labelled("Form reply", line(reply.get("body"))), flow(reply.get("response_json"))
    return line(reply.get("title")) or labelled("Interactive reply", word(kind)), {}


def flow(answers: object) -> Json:
    """A Flow's answers are JSON in a string (Meta docs, flows/guides/receiveflowresponse); broken ones are only flagged."""
    try:
        parsed = orjson.loads(text(answers))
    except orjson.JSONDecodeError:
        return {"flow_error": True}
    return {"flow": parsed} if isinstance(parsed, dict) and shallow(parsed) else {"flow_error": True}


def button(own: object) -> Content:
    return line(mapping(own).get("text")) or labelled("Button", line(mapping(own).get("payload"))), {}


def order(own: object) -> Content:
    """Prices go on as the digits Meta sent, in strings; no sum is better than a wrong one (a gap, two currencies)."""
    lines = [priced(item) for item in each(mapping(own).get("product_items")) if isinstance(item, dict)]
    prices, currencies = (
        [text(item.get("item_price")) for item in lines],
        {word(item.get("currency")) for item in lines},
    )
    counts = [item["quantity"] if type(item.get("quantity")) is int else 0 for item in lines]
    number = sum(counts) if all(counts) else len(lines)
    summary = f"Order: {number} item{'' if number == 1 else 's'}"
    if len(currencies) == 1 and all(counts) and all(map(PRICE.fullmatch, prices)):
        amounts = (Decimal(price) * count for price, count in zip(prices, counts, strict=True))
        summary += f", {sum(amounts, Decimal('0.00'))} {currencies.pop()}".rstrip()
    wish = line(mapping(own).get("text"))
    return f"{summary} – {wish}" if wish else summary, {"order": mapping(own) | {"product_items": lines}}


def priced(item: Json) -> Json:
    price = item.get("item_price")
    return item | {"item_price": str(price)} if type(price) in (int, float) else item


def unsupported(own: object) -> Content:
    return labelled("Unsupported message", word(mapping(own).get("type"))), {}


CONTENTS: dict[str, Callable[[object], Content | None]] = {
    "text": plain,
    **{kind: partial(media, kind.capitalize()) for kind in ("image", "video", "audio", "document", "sticker")},
    "location": location,
    "contacts": cards,
    "interactive": interactive,
    "button": button,
    "order": order,
    "unsupported": unsupported,
}
LISTS: dict[str, Callable[[Json, Around], Iterable[Unit]]] = {
    "messages": message,
    "message_echoes": partial(message, side="to"),
    "statuses": status,
    "errors": lambda item, around: [notice("account_error", item, around)],
}
MESSAGE_FIELDS = {"messages", "smb_message_echoes", "message_echoes"}
FRAME = {"messaging_product", "metadata", "contacts"}
CONTACT_IDS = ("user_id", "parent_user_id", "wa_id")
PERSON = {f"{side}{part}" for side in ("from", "to") for part in ("", "_user_id", "_parent_user_id")}
LIFTED = PERSON | {"id", "type", "timestamp", "referral"}


# --- any JSON in, one type out: its empty value when it is something else


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def mapping(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def each(value: object) -> list[Any]:
    """A list as it is, nothing as none, and anything else as the one item it may have been meant to be."""
    return value if isinstance(value, list) else [] if value is None else [value]


def clean(value: object) -> str:
    return CONTROLS.sub("", text(value))


def line(value: object, limit: int = LINE_LIMIT) -> str:
    return " ".join(clean(value).split())[:limit].rstrip()


def labelled(label: str, detail: str) -> str:
    return f"{label}: {detail}" if detail else label


def word(value: object) -> str:
    return NOT_WORD.sub("", text(value))[:WORD_LIMIT]


def identifier(value: object, limit: int = ID_LIMIT) -> str:
    return value if isinstance(value, str) and len(value) <= limit and value.isprintable() and " " not in value else ""


def digits(value: object) -> str:
    number = str(value) if type(value) is int else text(value).removeprefix("+")
    return number if DIGITS.fullmatch(number) else ""


@lru_cache(8192)  # who writes, writes again, and reading a number is a fifth of reading a message
def e164(number: str) -> str | None:
    try:
        return f"+{number}" if phonenumbers.is_possible_number(phonenumbers.parse(f"+{number}", None)) else None
    except phonenumbers.NumberParseException:
        return None


def moment(value: object, now: int) -> int | None:
    seconds = int(value) if isinstance(value, str) and SECONDS.fullmatch(value) else value
    return seconds * SECOND if type(seconds) is int and EARLIEST <= seconds * SECOND <= now + DAY else None


def shallow(value: object, depth: int = DEPTH_LIMIT) -> bool:
    """orjson reads 1,024 levels but writes 254: what is too deep could never be stored again."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth > 0 and all(shallow(item, depth - 1) for item in inner if isinstance(item, dict | list))
