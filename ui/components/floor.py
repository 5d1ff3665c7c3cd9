"""The elements of the floor: board, feed, key numbers, load list, live badge and lead search.

They are filled once by Python and then live by themselves: all of them take the messages of `room` from the page's own
socket (live.js), so what changes costs one broadcast per room and no per-client update. How a page is framed around
them is in frame.py. Data shapes are JSON; ids are decimal strings there and ints in the events here.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from nicegui.element import Element
from nicegui.events import GenericEventArguments, Handler, UiEventArguments, handle_event

Json = dict[str, Any]

# Modules that several components import by these bare names; NiceGUI puts them into every page's import map.
MODULES: list[str | Path] = [
    "live.js",
    "format.js",
    "order.js",
    "motion.js",
    "drag.js",
    "carry.js",
    "keys.js",
    "card.js",
    "column.js",
]


@dataclass(kw_only=True, slots=True)
class LeadEventArguments(UiEventArguments):
    """A lead was chosen."""

    lead_id: int


@dataclass(kw_only=True, slots=True)
class MoveEventArguments(LeadEventArguments):
    """A card was dropped. `version` is the one the viewer saw; `after` is the lead above and `before` the one below.

    `before` is None as well where the column goes on behind what the browser has loaded: then only `after` counts.
    """

    version: int
    from_status: str
    to_status: str
    after: int | None
    before: int | None


@dataclass(kw_only=True, slots=True)
class AssignEventArguments(LeadEventArguments):
    """A card was dropped on a person."""

    version: int
    person_id: int


class LeadElement(Element):
    """What board, feed and search have in common: a lead can be opened from them."""

    def _listen_open(self, on_open: Handler[LeadEventArguments] | None) -> None:
        self._open_handlers = [on_open] if on_open else []

        def handle_open(e: GenericEventArguments) -> None:
            lead_id = _id(e.args)
            if lead_id is None:
                return
            for handler in self._open_handlers:
                handle_event(handler, LeadEventArguments(sender=self, client=self.client, lead_id=lead_id))

        self.on("open", handle_open)

    def on_open(self, callback: Handler[LeadEventArguments]) -> Self:
        """Add a callback to be invoked when a lead is to be opened."""
        self._open_handlers.append(callback)
        return self


class Board(LeadElement, component="board.js", dependencies=MODULES, default_classes="lf-grow"):
    def __init__(
        self,
        statuses: Sequence[Json],
        snapshot: Json | None = None,
        *,
        room: str,
        api: str = "/api/v1/leads/board",
        density: Literal["comfortable", "compact"] = "comfortable",
        currency: str = "EUR",
        sortable: bool = True,
        assignable: bool = True,
        on_move: Handler[MoveEventArguments] | None = None,
        on_assign: Handler[AssignEventArguments] | None = None,
        on_open: Handler[LeadEventArguments] | None = None,
    ) -> None:
        """Board

        Leads as cards in one column per status, to be dragged by mouse, finger or keyboard.
        A dropped card stays at its new place, marked as pending, until the server calls `settle` or `reject`
        and the room tells the new truth. It must do so within 10 seconds, or call `hold` first.

        :param statuses: columns in order, each `{id, title, color, moves}` with the statuses a card may be dropped to
        :param snapshot: first content `{cursor, columns}`; the board fetches it itself if omitted
        :param room: name of the room whose messages keep the board up to date
        :param api: URL of snapshots (`?limit=`) and of further pages of a column (`?status=&limit=&page=`)
        :param density: "comfortable" shows the last message on every card, "compact" only under the mouse
        :param currency: currency of the totals in the column heads
        :param sortable: whether this viewer may change the order inside a column
        :param assignable: whether this viewer may give a lead to a person by dropping its card there
        :param on_move: callback that is invoked when a card is dropped at another place
        :param on_assign: callback that is invoked when a card is dropped on a person
        :param on_open: callback that is invoked on double click or Enter
        """
        super().__init__()
        self._props["statuses"] = list(statuses)
        if snapshot is not None:
            self._props["snapshot"] = snapshot
        self._props["room"] = room
        self._props["api"] = api
        self._props["density"] = density
        self._props["currency"] = currency
        self._props["sortable"] = sortable
        self._props["assignable"] = assignable
        self._statuses: set[str] = {status["id"] for status in statuses}
        self._move_handlers = [on_move] if on_move else []
        self._assign_handlers = [on_assign] if on_assign else []
        self._listen_open(on_open)
        self.on("move", self._handle_move)
        self.on("assign", self._handle_assign)

    # What a browser sends is only a wish, and may be anything: nonsense is dropped here, rights are checked by the hub.

    def _handle_move(self, e: GenericEventArguments) -> None:
        args = e.args if isinstance(e.args, dict) else {}
        lead_id, version = _id(args.get("id")), _id(args.get("version"))
        from_status, to_status = str(args.get("from")), str(args.get("to"))
        if lead_id is None or version is None or not {from_status, to_status} <= self._statuses:
            return
        move = MoveEventArguments(
            sender=self,
            client=self.client,
            lead_id=lead_id,
            version=version,
            from_status=from_status,
            to_status=to_status,
            after=_id(args.get("after")),
            before=_id(args.get("before")),
        )
        for handler in self._move_handlers:
            handle_event(handler, move)

    def _handle_assign(self, e: GenericEventArguments) -> None:
        args = e.args if isinstance(e.args, dict) else {}
        lead_id, version, person_id = _id(args.get("id")), _id(args.get("version")), _id(args.get("person"))
        if lead_id is None or version is None or person_id is None:
            return
        assign = AssignEventArguments(
            sender=self, client=self.client, lead_id=lead_id, version=version, person_id=person_id
        )
        for handler in self._assign_handlers:
            handle_event(handler, assign)

    def on_move(self, callback: Handler[MoveEventArguments]) -> Self:
        """Add a callback to be invoked when a card is dropped at another place."""
        self._move_handlers.append(callback)
        return self

    def on_assign(self, callback: Handler[AssignEventArguments]) -> Self:
        """Add a callback to be invoked when a card is dropped on a person."""
        self._assign_handlers.append(callback)
        return self

    def settle(self, lead_id: int) -> None:
        """Tell the browser that its drop was accepted; the exact place follows by the room."""
        self.run_method("settle", str(lead_id))

    def hold(self, lead_id: int) -> None:
        """Tell the browser that the answer to its drop takes longer than 10 seconds, because the viewer is asked first."""
        self.run_method("hold", str(lead_id))

    def reject(self, lead_id: int, text: str) -> None:
        """Tell the browser that its drop was refused: the card returns and the text is shown."""
        self.run_method("reject", str(lead_id), text)


class Feed(LeadElement, component="feed.js", dependencies=MODULES, default_classes="lf-grow"):
    def __init__(
        self,
        lines: Sequence[Json] = (),
        *,
        room: str,
        source: str = "/board/side",
        title: str = "Live activity",
        limit: int = 60,
        on_open: Handler[LeadEventArguments] | None = None,
    ) -> None:
        """Feed

        What just happened, newest first.

        :param lines: first lines, newest first, each `{id, icon, color, parts, chip, sub, at, lead}`
        :param room: name of the room whose messages add lines
        :param source: URL of `{feed, kpis, load}`, read when messages were missed
        :param title: headline
        :param limit: number of lines to keep
        :param on_open: callback that is invoked when a line about a lead is clicked
        """
        super().__init__()
        self._props["lines"] = list(lines)
        self._props["room"] = room
        self._props["source"] = source
        self._props["title"] = title
        self._props["limit"] = limit
        self._listen_open(on_open)


class Kpis(Element, component="kpis.js", dependencies=MODULES):
    def __init__(self, items: Sequence[Json] = (), *, room: str, source: str = "/board/side") -> None:
        """Key numbers

        A strip of numbers with their trend.

        :param items: numbers in order, each `{id, label, value, delta, good, color, spark, hint}`
        :param room: name of the room whose messages change them
        :param source: URL of `{feed, kpis, load}`, read when messages were missed
        """
        super().__init__()
        self._props["items"] = list(items)
        self._props["room"] = room
        self._props["source"] = source


class LoadList(Element, component="load.js", dependencies=MODULES):
    def __init__(
        self,
        people: Sequence[Json] = (),
        *,
        room: str,
        source: str = "/board/side",
        title: str = "Load by owner",
    ) -> None:
        """Load list

        Who carries how many open leads. Cards of a board on the same page can be dropped on a person.

        :param people: persons in order, each `{id, name, open, capacity, online}`
        :param room: name of the room whose messages replace the list
        :param source: URL of `{feed, kpis, load}`, read when messages were missed
        :param title: headline
        """
        super().__init__()
        self._props["people"] = list(people)
        self._props["room"] = room
        self._props["source"] = source
        self._props["title"] = title


class LiveBadge(Element, component="badge.js", dependencies=MODULES):
    def __init__(self, *, room: str) -> None:
        """Live badge

        Says whether the page is live and how late it is. For that it asks for the server's clock once per connection,
        which also puts right the waiting times that are shown on a computer with a wrong clock.

        :param room: name of the room that is watched
        """
        super().__init__()
        self._props["room"] = room
        self.on("clock", self._handle_clock)

    def _handle_clock(self, e: GenericEventArguments) -> None:
        if isinstance(e.args, int | float):
            self.run_method("setClock", e.args, time.time() * 1000)


class LeadSearch(LeadElement, component="search.js", dependencies=MODULES):
    def __init__(
        self,
        statuses: Sequence[Json] = (),
        *,
        api: str = "/api/v1/leads",
        placeholder: str = "Search leads, firms, phone numbers",
        on_open: Handler[LeadEventArguments] | None = None,
    ) -> None:
        """Lead search

        An input that finds leads while one types; Ctrl-K or "/" focuses it from everywhere.

        :param statuses: `{id, title, color}` of the statuses, to show them by name and colour
        :param api: URL of the search (`?q=&limit=`), answering `{items: [lead]}`
        :param placeholder: text of the empty input
        :param on_open: callback that is invoked when a lead is chosen
        """
        super().__init__()
        self._props["statuses"] = [{key: status[key] for key in ("id", "title", "color")} for status in statuses]
        self._props["api"] = api
        self._props["placeholder"] = placeholder
        self._listen_open(on_open)


def _id(value: object) -> int | None:
    """An id or version as a browser may send it; None for anything else."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value if 0 <= value < 2**63 else None
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 19:
        return int(value)
    return None
