"""Leads over HTTP: lists, the board, one lead and what can be done to it."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

from fastapi import Header, Query, Request
from pydantic import AwareDatetime, Field, StringConstraints
from starlette.responses import Response

from ..access import roles
from ..access.scope import Viewer, people_of
from ..callers import Caller
from ..errors import Invalid
from ..leads import actions, queries
from ..leads.changes import Done
from ..leads.fields import OPTIONS, SOURCES, LeadRow, Shares, shown
from ..leads.lifecycle import allowed_moves
from ..store.answers import Render
from ..store.ids import microseconds
from ..store.transactions import Rx, Tx
from .answers import write
from .bodies import Body, Id, LongText, Text, Version, path_id, router
from .paging import Limit, PageToken, page_after, read_page
from .viewer import SignedInCaller

api = router("leads")

Money = Annotated[Decimal, Field(ge=0, lt=10**13, decimal_places=2, max_digits=15)]


class LeadFields(Body):
    """What may be written. Everything else of a lead is the hub's own."""

    name: Text | None = Field(None, examples=["Priya Raman"])
    firm_name: Text | None = Field(None, examples=["Acme"])
    first_name: Annotated[Text, StringConstraints(max_length=150)] | None = None
    last_name: Annotated[Text, StringConstraints(max_length=150)] | None = None
    email: Annotated[Text, StringConstraints(max_length=254)] | None = Field(None, examples=["priya@example.com"])
    phone: Annotated[Text, StringConstraints(max_length=50)] | None = Field(None, examples=["+447700900142"])
    source: Annotated[Text, StringConstraints(max_length=40)] | None = Field(None, examples=["Event"])
    event_name: Annotated[Text, StringConstraints(max_length=150)] | None = None
    word_of_mouth_type: Annotated[Text, StringConstraints(max_length=50)] | None = None
    other_source_type: Annotated[Text, StringConstraints(max_length=150)] | None = None
    lead_type: Annotated[Text, StringConstraints(max_length=40)] | None = None
    industry: Annotated[Text, StringConstraints(max_length=80)] | None = None
    nature_of_business: Annotated[Text, StringConstraints(max_length=80)] | None = None
    erp: Annotated[Text, StringConstraints(max_length=80)] | None = None
    city: Annotated[Text, StringConstraints(max_length=100)] | None = None
    zip_code: Annotated[Text, StringConstraints(max_length=20)] | None = None
    comments: LongText | None = None
    value: Money | None = Field(None, examples=[18000])
    currency: Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")] | None = Field(None, examples=["EUR"])
    next_followup_at: AwareDatetime | None = None

    def given(self) -> dict[str, Any]:
        """The fields that were sent, as the actions take them."""
        fields = self.model_dump(exclude_unset=True, exclude={"version"})
        if isinstance(fields.get("next_followup_at"), datetime):
            fields["next_followup_at"] = believable(fields["next_followup_at"], "next_followup_at")
        return fields


def believable(moment: datetime, field: str) -> int:
    """Microseconds of a time that a sales floor can mean. Raises Invalid for the year 1 or 9999."""
    if not 2000 <= moment.year < 2200:
        raise Invalid("This time can't be meant.", field=field)
    return microseconds(moment)


class LeadEdit(LeadFields):
    version: Version


class Move(Body):
    status: Text = Field(examples=["demo"])
    version: Version
    reason: Text | None = Field(None, description="For lost and unqualified.", examples=["Budget"])
    firm_name: Text | None = Field(None, description="For won, where the lead has none.")
    after: Id | None = Field(None, description="The lead above the place on the board.")
    before: Id | None = Field(None, description="The lead below it.")


class Assign(Body):
    version: Version
    salesperson_id: Id | None = None
    warrior_id: Id | None = None
    partner_company_id: Id | None = None
    support_id: Id | None = None


class Share(Body):
    version: Version
    salesperson_ids: Annotated[list[Id], Field(max_length=50)]


class OnlyVersion(Body):
    version: Version


class Activity(Body):
    kind: Literal["call", "meeting", "note", "email"] = Field(examples=["call"])
    outcome: Text | None = None
    minutes: Annotated[int, Field(strict=True, ge=0, le=24 * 60)] | None = None
    at: AwareDatetime | None = None
    text: LongText = ""


class Undo(Body):
    fact: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}$")] = Field(examples=["128"])


# Answers -------------------------------------------------------------------------------------------------------------------


def lead_answer(viewer: Viewer) -> Render:
    """The lead as the caller's view shows it, and the number of the fact (null when nothing changed)."""

    def render(tx: Tx, done: Done) -> dict[str, Any]:
        fact = str(done.fact.number) if done.fact else None
        return {**_shown(tx, viewer, done.lead, done.shares), "fact": fact}

    return render


def _shown(rx: Rx, viewer: Viewer, row: LeadRow, shares: Shares) -> dict[str, Any]:
    moves = [] if row.archived_at else allowed_moves(row.status, viewer.rights)
    return {**shown(row, shares, people_of(rx), viewer.view), "allowed_moves": moves}


def _listed(rx: Rx, viewer: Viewer, wanted: queries.Filter, limit: int, after: int | None) -> tuple[list[Any], Any]:
    page = queries.leads_page(rx, viewer, wanted, limit=limit, after=after)
    people = people_of(rx)
    return [shown(lead.row, lead.shares, people, viewer.view) for lead in page.items], page


async def _list(caller: Caller, wanted: queries.Filter, kind: str, limit: int, page: str | None) -> dict[str, Any]:
    items, found = await caller.store.read(_listed, caller.viewer, wanted, limit, read_page(caller, kind, page))
    return {"items": items, "next": page_after(caller, kind, found.after), "cursor": found.head.cursor}


# Reading -------------------------------------------------------------------------------------------------------------------

Q = Annotated[str, Query(max_length=200, description="Words of name and firm, or the end of a phone number.")]


@api.get("/leads", summary="Leads in reach, newest first")
async def list_leads(
    caller: SignedInCaller,
    limit: Limit = 20,
    page: PageToken = None,
    status: Annotated[str, Query(max_length=120, description="One status, or several with commas.")] = "",
    owner: Annotated[str | None, Query(pattern=r"^[0-9]{1,19}$", description="A salesperson or warrior.")] = None,
    source: Annotated[str | None, Query(max_length=40)] = None,
    q: Q = "",
    archived: bool = False,
) -> dict[str, Any]:
    wanted = queries.Filter(
        statuses=tuple(s for s in status.split(",") if s),
        owner=int(owner) if owner else None,
        source=_source(source),
        q=q,
        archived=archived,
    )
    return await _list(caller, wanted, f"leads:{status}:{owner}:{source}:{q}:{archived}", limit, page)


def _source(source: str | None) -> str | None:
    if source is None:
        return None
    for known in SOURCES:
        if known.casefold() == source.casefold().replace("_", " "):
            return known
    raise Invalid("There is no such source.", field="source")


@api.get("/leads/options", summary="The options that fields of a lead may take")
async def options(caller: SignedInCaller) -> dict[str, Any]:
    return {name: list(values) for name, values in OPTIONS.items()}


@api.get("/leads/board", summary="The board by status, in reach, or the next cards of one column")
async def board(
    caller: SignedInCaller,
    limit: Limit = 50,
    status: Annotated[str | None, Query(max_length=16)] = None,
    page: PageToken = None,
) -> dict[str, Any]:
    if status is not None and status not in OPTIONS["statuses"]:
        raise Invalid(f"{status!r} is not a status.", field="status")
    after = read_page(caller, f"board:{status}", page)
    found = await caller.store.read(_board, caller.viewer, limit, status, tuple(after) if after else queries.TOP)
    for name, column in found["columns"].items():
        column["next"] = page_after(caller, f"board:{name}", column["next"])
    return found


def _board(rx: Rx, viewer: Viewer, limit: int, status: str | None, after: tuple[int, int]) -> dict[str, Any]:
    found = queries.board(rx, viewer, limit=limit, status=status, after=after)
    columns = {}
    for name, column in found.columns.items():
        items = [queries.card(lead, rx, viewer.view) for lead in column.items]
        columns[name] = {
            **queries.shown_count(column.n, column.value, viewer.view),
            "items": items,
            "next": column.after,
        }
    return {"cursor": found.head.cursor, "columns": columns}


@api.get("/leads/{lead_id}", summary="One lead")
async def get_lead(lead_id: str, caller: SignedInCaller) -> dict[str, Any]:
    return await caller.store.read(_one, caller.viewer, path_id(lead_id))


def _one(rx: Rx, viewer: Viewer, lead_id: int) -> dict[str, Any]:
    return _shown(rx, viewer, *queries.lead(rx, viewer, lead_id))


@api.get("/leads/{lead_id}/timeline", summary="What happened to a lead, newest first")
async def timeline(lead_id: str, caller: SignedInCaller, limit: Limit = 50, page: PageToken = None) -> dict[str, Any]:
    kind = f"timeline:{lead_id}"
    before = read_page(caller, kind, page) or queries.NEWEST
    found = await caller.store.read(queries.timeline, caller.viewer, path_id(lead_id), limit=limit, before=before)
    return {"items": found.items, "next": page_after(caller, kind, found.before), "cursor": found.head.cursor}


VIEWS = {
    "salesperson": (
        "salesperson_id",
        {"salesperson": "Salesperson", "firm_name": "Firm", "name": "Name", "status": "Status", "value": "Value"}
        | {"source": "Source", "next_followup_at": "Next follow-up", "updated_at": "Changed"},
    ),
    "warrior": (
        "warrior_id",
        {"warrior": "Warrior", "salesperson": "Salesperson", "firm_name": "Firm", "name": "Name", "phone": "Phone"}
        | {"status": "Status", "next_followup_at": "Next follow-up", "updated_at": "Changed"},
    ),
    "partner-company": (
        "partner_company_id",
        {"partner_company": "Partner company", "firm_name": "Firm", "name": "Name", "status": "Status"}
        | {"city": "City", "source": "Source", "updated_at": "Changed"},
    ),
}


@api.get("/views/{view}", summary="Leads by salesperson, warrior or partner company, in reach")
async def views(
    view: Literal["salesperson", "warrior", "partner-company"],
    caller: SignedInCaller,
    limit: Limit = 20,
    page: PageToken = None,
) -> dict[str, Any]:
    having, labels = VIEWS[view]
    found = await _list(caller, queries.Filter(having=having), f"views:{view}", limit, page)
    visible = {"id", *labels}
    items = [{field: value for field, value in item.items() if field in visible} for item in found["items"]]
    shown_labels = {f: label for f, label in labels.items() if f in roles.VIEWS[caller.viewer.view]}
    return {"labels": shown_labels, **found, "items": items}


# Writing -------------------------------------------------------------------------------------------------------------------


@api.post("/leads", status_code=201, summary="Capture a lead")
async def capture(body: LeadFields, request: Request, caller: SignedInCaller) -> Response:
    fields = {k: v for k, v in body.given().items() if v is not None}
    if "source" not in fields and caller.viewer.role == "INTEGRATION":
        fields["source"] = "API"
    return await write(request, caller, lead_answer(caller.viewer), actions.capture, fields, status=201)


@api.patch("/leads/{lead_id}", summary="Change fields of a lead")
async def edit(lead_id: str, body: LeadEdit, request: Request, caller: SignedInCaller) -> Response:
    answer = lead_answer(caller.viewer)
    return await write(request, caller, answer, actions.edit, path_id(lead_id), body.given(), version=body.version)


@api.delete("/leads/{lead_id}", summary="Archive a lead")
async def archive(
    lead_id: str,
    request: Request,
    caller: SignedInCaller,
    version: Annotated[int | None, Query(ge=1, lt=2**53)] = None,
    if_match: Annotated[str | None, Header(max_length=40)] = None,
    body: OnlyVersion | None = None,
) -> Response:
    """The version that you saw goes into the query, the body or `If-Match`."""
    saw = version or (body.version if body else None) or _if_match(if_match)
    if saw is None:
        raise Invalid("Send the version that you saw.", field="version")
    return await write(request, caller, lead_answer(caller.viewer), actions.archive, path_id(lead_id), version=saw)


def _if_match(header: str | None) -> int | None:
    text = (header or "").strip().strip('"')
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


@api.post("/leads/{lead_id}/restore", summary="Bring an archived lead back")
async def restore(lead_id: str, body: OnlyVersion, request: Request, caller: SignedInCaller) -> Response:
    answer = lead_answer(caller.viewer)
    return await write(request, caller, answer, actions.restore, path_id(lead_id), version=body.version)


@api.post("/leads/{lead_id}/move", summary="Move a lead to another status")
async def move(lead_id: str, body: Move, request: Request, caller: SignedInCaller) -> Response:
    return await write(
        request,
        caller,
        lead_answer(caller.viewer),
        actions.move,
        path_id(lead_id),
        body.status,
        version=body.version,
        reason=body.reason,
        firm_name=body.firm_name,
        after=int(body.after) if body.after else None,
        before=int(body.before) if body.before else None,
    )


@api.post("/leads/{lead_id}/assign", summary="Give a lead to somebody")
async def assign(lead_id: str, body: Assign, request: Request, caller: SignedInCaller) -> Response:
    given = body.model_dump(exclude_unset=True, exclude={"version"})
    targets = {name: int(target) if target else None for name, target in given.items()}
    answer = lead_answer(caller.viewer)
    return await write(request, caller, answer, actions.assign, path_id(lead_id), targets, version=body.version)


@api.post("/leads/{lead_id}/share", summary="Share a lead with exactly these salespeople")
async def share(lead_id: str, body: Share, request: Request, caller: SignedInCaller) -> Response:
    people = [int(person) for person in body.salesperson_ids]
    answer = lead_answer(caller.viewer)
    return await write(request, caller, answer, actions.share, path_id(lead_id), people, version=body.version)


@api.post("/leads/{lead_id}/activities", summary="Log a call, meeting, note or e-mail")
async def log_activity(lead_id: str, body: Activity, request: Request, caller: SignedInCaller) -> Response:
    return await write(
        request,
        caller,
        lead_answer(caller.viewer),
        actions.log_activity,
        path_id(lead_id),
        body.kind,
        text=body.text,
        outcome=body.outcome,
        minutes=body.minutes,
        at=believable(body.at, "at") if body.at else None,
    )


@api.post("/undo", summary="Take back one fact about a lead")
async def undo(body: Undo, request: Request, caller: SignedInCaller) -> Response:
    return await write(request, caller, lead_answer(caller.viewer), actions.undo, int(body.fact))
