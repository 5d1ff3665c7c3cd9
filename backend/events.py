"""The facts: one frozen dataclass per thing that can happen. Names are past, `<noun>.<verb>`.

A fact carries what changed, as stored values (ids, microseconds, minor units), so that it can be told, streamed and undone. It
declares its own line of the timeline; what each view may see of it follows from the names of the fields it changed.
"""

from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

Changes = dict[str, list[Any]]
"""Field → [old, new]."""

KINDS: dict[str, type["Fact"]] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """Base of all facts. `icon` and `tells` serve the timeline and the feed; a fact without `tells` appears on neither."""

    kind: ClassVar[str] = "fact"
    icon: ClassVar[str] = "history"
    tells: ClassVar[str] = ""
    needs: ClassVar[str] = ""
    """The lead field that a view must show for this fact to be told at all: a view without conversations hears of none."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super(Fact, cls).__init_subclass__(**kwargs)
        KINDS[cls.kind] = cls

    def body(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _names(type(self))}

    @classmethod
    def stored(cls, kind: str, body: dict[str, Any] | None) -> "Fact":
        """A fact out of the journal. A kind of another version, or an erased body, comes as `Forgotten`."""
        known = KINDS.get(kind)
        if known is None or body is None:
            return Forgotten(was=kind)
        return known(**{k: v for k, v in body.items() if k in _names(known)})


_NAMES: dict[type[Fact], tuple[str, ...]] = {}


def _names(kind: type[Fact]) -> tuple[str, ...]:
    if kind not in _NAMES:
        _NAMES[kind] = tuple(f.name for f in fields(kind))
    return _NAMES[kind]


@dataclass(frozen=True, slots=True, kw_only=True)
class Forgotten(Fact):
    kind = "forgotten"
    was: str


# Leads ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadFact(Fact):
    """Something happened to a lead; `changes` are fields of its row, plus `shared_with` (lists of person ids).

    `undoes` is the number of the fact that this one takes back.
    """

    kind = "lead"
    changes: Changes = field(default_factory=dict)
    undoes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadCaptured(LeadFact):
    kind = "lead.captured"
    icon = "bolt"
    tells = "captured"
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadEdited(LeadFact):
    kind = "lead.edited"
    icon = "edit"
    tells = "edited"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadMoved(LeadFact):
    kind = "lead.moved"
    icon = "swap_horiz"
    tells = "moved"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadPlaced(LeadFact):
    """Dragged to another place of the same column: nothing that a timeline would tell."""

    kind = "lead.placed"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadAssigned(LeadFact):
    kind = "lead.assigned"
    icon = "person_add"
    tells = "assigned"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadShared(LeadFact):
    kind = "lead.shared"
    icon = "group_add"
    tells = "shared"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadArchived(LeadFact):
    kind = "lead.archived"
    icon = "archive"
    tells = "archived"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRestored(LeadFact):
    kind = "lead.restored"
    icon = "unarchive"
    tells = "restored"


@dataclass(frozen=True, slots=True, kw_only=True)
class LeadRekeyed(LeadFact):
    """The hierarchy above the lead changed, so that other people see it now. Nothing of the lead itself did."""

    kind = "lead.rekeyed"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityLogged(LeadFact):
    """A call, meeting, note or e-mail of ours. `team` is the manager whose team wrote it; None is everyone's."""

    kind = "activity.logged"
    icon = "call"
    tells = "logged"
    needs = "comments"
    activity: str
    text: str = ""
    outcome: str | None = None
    minutes: int | None = None
    happened_at: int
    team: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageReceived(LeadFact):
    kind = "message.received"
    icon = "chat_bubble"
    tells = "wrote"
    needs = "last_message"
    conversation: int
    message: int
    channel: str
    type: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageEchoed(MessageReceived):
    """A message of ours that somebody typed on the phone itself."""

    kind = "message.echoed"
    icon = "reply"
    tells = "answered on the phone"


# People --------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonFact(Fact):
    """Told to the person alone. `resets`: what he may see is another thing now, so his streams start again."""

    kind = "person"
    person: int
    resets: ClassVar[bool] = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonJoined(PersonFact):
    kind = "person.joined"
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RightsChanged(PersonFact):
    kind = "person.rights"
    resets = True
    changes: Changes = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionStarted(PersonFact):
    kind = "session.started"
    session: int
    platform: str
    ip: str = ""
    device: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded(PersonFact):
    """`reason`: logout, replaced, stolen, suspended, password."""

    kind = "session.ended"
    session: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Noticed(PersonFact):
    """A personal notice: it pops up on that person's screens and streams."""

    kind = "notice"
    about: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SettingsChanged(Fact):
    kind = "settings.changed"
    changes: Changes = field(default_factory=dict)
