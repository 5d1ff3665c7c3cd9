"""The frame around every page: rail with the pages, top bar, work area, side panel. Views fill its slots.

    page = frame('Pipeline', 'EMEA Inbound', pages, '/board', person)
    with page.search: LeadSearch(...)
    with page.actions: LiveBadge(...)
    with page.work: Kpis(...); Board(...)       # a column; class lf-grow takes the height that is left
    with page.side: Feed(...); LoadList(...)    # hidden on narrow screens

Looks are in ui/static/theme.css, served at /assets. Needs `run_with(tailwind=False)`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Literal

from nicegui import ui
from nicegui.element import Element

STATIC = Path(__file__).parent.parent / "static"

Theme = Literal["light", "dark", "system"]
THEMES: dict[Theme, tuple[bool | None, str, str]] = {  # what Quasar is told, icon, tooltip
    "system": (None, "sym_r_contrast", "Theme: like the system"),
    "light": (False, "sym_r_light_mode", "Theme: light"),
    "dark": (True, "sym_r_dark_mode", "Theme: dark"),
}


@dataclass(frozen=True)
class Page:
    """An entry of the rail; `icon` is the name of a rounded Material Symbol."""

    path: str
    title: str
    icon: str
    badge: int = 0


@dataclass(frozen=True)
class Person:
    """Who is signed in, as shown in the menu of the avatar."""

    name: str
    role: str


@dataclass
class Frame:
    """The slots of a framed page, and what a view may change later."""

    title: ui.label
    subtitle: ui.label
    search: Element
    actions: Element
    work: Element
    side: Element | None
    badges: dict[str, ui.label] = field(default_factory=dict)

    def set_badge(self, path: str, count: int) -> None:
        """Show a count at a page's icon in the rail; 0 hides it."""
        self.badges[path].text = _short(count)


def frame(
    title: str,
    subtitle: str,
    pages: Sequence[Page],
    current: str,
    person: Person,
    *,
    side: bool = True,
    theme: Theme = "system",
    on_theme: Callable[[Theme], object] | None = None,
) -> Frame:
    """Builds the frame on the current page and returns its slots.

    `current` is the path of the page that is shown; `on_theme` is told when the person chooses another theme.
    """
    for sheet in ("theme.css", "floor.css", "dialogs.css"):
        ui.add_head_html(f'<link rel="stylesheet" href="{asset(sheet)}">')
    with div("lf-shell" if side else "lf-shell lf-shell--wide"):
        badges = _rail(pages, current, person, theme, on_theme)
        with ui.element("header").classes("lf-top"):
            with div("lf-top-title"):
                heading = ui.label(title).classes("lf-title").props("role=heading aria-level=1")
                crumb = ui.label(subtitle).classes("lf-subtitle")
            search = div("lf-top-search")
            actions = div("lf-top-actions")
        work = ui.element("main").classes("lf-work")
        panel = ui.element("aside").classes("lf-side").props('aria-label="Live activity"') if side else None
    return Frame(heading, crumb, search, actions, work, panel, badges)


def _rail(
    pages: Sequence[Page],
    current: str,
    person: Person,
    theme: Theme,
    on_theme: Callable[[Theme], object] | None,
) -> dict[str, ui.label]:
    badges = {}
    with ui.element("nav").classes("lf-rail").props('aria-label="Pages"'):
        with _link("/", "Leadfloor").classes("lf-logo"):
            ui.element("img").props(f'src={asset("logo.svg")} alt="" width=34 height=34')
        for page in pages:
            with _link(page.path, page.title).classes("lf-rail-item") as link:
                if page.path == current:
                    link.props("aria-current=page")
                ui.icon(f"sym_r_{page.icon}")
                badges[page.path] = ui.label(_short(page.badge)).classes("lf-rail-badge")
        ui.element("div").classes("lf-grow")
        _theme_switch(theme, on_theme)
        _person_menu(person)
    return badges


def _link(path: str, title: str) -> Element:
    link = ui.element("a")
    link.props["href"] = path
    link.props["aria-label"] = link.props["data-tip"] = title
    return link


def _theme_switch(theme: Theme, on_theme: Callable[[Theme], object] | None) -> None:
    """A button that goes round the themes. The choice is kept by `on_theme`, not here."""
    order = list(THEMES)
    dark = ui.dark_mode(THEMES[theme][0])
    with ui.element("button").classes("lf-rail-item").props("type=button") as button:
        icon = ui.icon("")

    def show(chosen: Theme) -> None:
        dark.value, icon.name, tip = THEMES[chosen]
        button.props["aria-label"] = button.props["data-tip"] = tip

    def choose() -> None:
        nonlocal theme
        theme = order[(order.index(theme) + 1) % len(order)]
        show(theme)
        if on_theme:
            on_theme(theme)

    show(theme)
    button.on("click", choose)


def _person_menu(person: Person) -> None:
    with ui.element("button").classes("lf-rail-person").props("type=button aria-haspopup=menu") as button:
        button.props["aria-label"] = f"{person.name}, {person.role}"
        avatar(person.name)
        with ui.menu().props('anchor="bottom right" self="bottom left" :offset="[10, 0]"').classes("lf-menu"):
            with div("lf-menu-head"):
                ui.label(person.name).classes("lf-menu-name")
                ui.label(person.role).classes("lf-menu-role")
            form = ui.element("form").props("method=post action=/signout")
            with form, ui.element("button").classes("lf-menu-item").props("type=submit"):
                ui.icon("sym_r_logout")
                ui.label("Sign out")


def div(classes: str) -> Element:
    """A plain box."""
    return ui.element("div").classes(classes)


def avatar(name: str) -> ui.label:
    """A person's initials on the colour that belongs to the name; the same as in format.js."""
    words = name.split() or ["?"]
    letters = words[0][0] + (words[-1][0] if len(words) > 1 else "")
    hue = 0
    for letter in name:
        hue = (hue * 31 + ord(letter)) % 360
    return ui.label(letters.upper()).classes("lf-avatar").style(f"background: oklch(0.6 0.13 {hue})")


@cache
def asset(name: str) -> str:
    """URL of a static file that changes with its content, so browsers may keep it for ever."""
    return f"/assets/{name}?v={hashlib.sha256((STATIC / name).read_bytes()).hexdigest()[:10]}"


def _short(count: int) -> str:
    return "" if count <= 0 else "99+" if count > 99 else str(count)
