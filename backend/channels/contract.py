"""What a channel's translator promises: raw bytes of a webhook in, units out.

A unit is the smallest thing that can succeed or fail alone: one message, one status, one notice. `read()` never raises: what
it can't understand is a `Broken` unit with the reason (a provider's fault, kept raw), and what names no account at all is
`Delivery.broken`. Unknown fields and unknown types are never an error; providers add both without notice.
"""

from dataclasses import dataclass, field
from typing import Any, Protocol

Identity = tuple[str, str]
"""(kind, value): `("wa_bsuid", "GB.709…")`, `("wa_phone", "447700900142")` (digits as the provider gives them)."""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is at the other end, best identity first; `name` is the profile name, "" when the provider gives none."""

    identities: tuple[Identity, ...]
    name: str = ""
    phone: str | None = None
    """E.164 with "+", when the provider vouches for one."""


@dataclass(frozen=True, slots=True)
class Said:
    """A message of a person to us, or (`outgoing`) one of ours that was typed on the phone and is echoed back.

    `text` is what a screen shows on one line, "" never; `data` keeps the provider's object for everything else (media ids, items,
    coordinates, an unknown type whole). `sent_at` is microseconds UTC, None when absent or absurd.
    """

    provider_id: str
    sender: Sender
    type: str
    text: str
    sent_at: int | None
    data: dict[str, Any] = field(default_factory=dict)
    reply_to: str | None = None
    referral: dict[str, Any] | None = None
    outgoing: bool = False


@dataclass(frozen=True, slots=True)
class Reacted:
    """An emoji put on a message (`emoji` None: taken away). Never starts a lead or a clock."""

    provider_id: str
    sender: Sender
    target: str
    emoji: str | None
    sent_at: int | None


@dataclass(frozen=True, slots=True)
class StateReported:
    """How far one of our messages got: `state` is one of sent, delivered, read, failed, or the provider's own word.

    `ours` is what we gave the provider to echo (`biz_opaque_callback_data`).
    """

    provider_id: str
    state: str
    at: int | None
    reason: str | None = None
    ours: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class IdentityMoved:
    """The provider says that one identity of a person became another."""

    provider_id: str
    old: Identity
    new: Identity


@dataclass(frozen=True, slots=True)
class Noticed:
    """Something about the account itself (quality, template status, an account error). Kept raw, shown to admins."""

    provider_id: str
    kind: str
    data: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Broken:
    """A unit that can't be understood; `reason` is for people, without personal data."""

    reason: str
    data: Any = None
    provider_id: str | None = None


Unit = Said | Reacted | StateReported | IdentityMoved | Noticed | Broken


@dataclass(frozen=True, slots=True)
class Part:
    """The units of one delivery that belong to one account of ours (`account`: a phone_number_id, a Page id, …)."""

    account: str
    units: tuple[Unit, ...]


@dataclass(frozen=True, slots=True)
class Delivery:
    """One POST, translated. `broken` says why nothing at all could be read from it; `unowned` why some part names no account."""

    parts: tuple[Part, ...] = ()
    broken: str | None = None
    unowned: str | None = None


class Channel(Protocol):
    """One file in this folder. `name` is the word used in tables, routes and screens."""

    name: str

    def verify(self, raw: bytes, signature: str | None, secrets: list[bytes]) -> int | None:
        """The index of the secret that signed exactly these bytes, else None. Constant time; an empty secret never matches."""

    def read(self, raw: bytes, now: int) -> Delivery:
        """Translate; `now` in microseconds UTC bounds what counts as a believable time. Never raises."""
