"""A real hub with the demo companies, in a process of its own, and real Chromium windows on it."""

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.async_api import Browser, Page, async_playwright

ROOT = Path(__file__).parents[2]
PASSWORD = "journeys on the floor"
FLAGS = (
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
)


@pytest.fixture(scope="session")
def chromium() -> str:
    """The browser of this machine; on Debian as root it is installed when it is missing."""
    names = ("chromium", "chromium-browser", "google-chrome")
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=False, capture_output=True, timeout=600)
        found = shutil.which("chromium")
    if found is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("There is no Chromium: apt-get install chromium")
    return found


class Demo:
    """The hub's address, and an API client per person."""

    def __init__(self, url: str, folder: Path, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.folder = folder
        self.process = process

    async def api(self, username: str) -> httpx.AsyncClient:
        client = httpx.AsyncClient(base_url=self.url)
        body = {"company": "demo", "username": username, "password": PASSWORD, "end_session": "oldest"}
        answer = await client.post("/api/v1/auth/login", json=body)
        client.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return client

    async def simulate(self, phone: str, text: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "main.py", "--data", str(self.folder), "--port", self.url.rsplit(":", 1)[1]),
            *("simulate", "--phone", phone, "--text", text),
            cwd=ROOT,
            env=environment(),
            stdout=subprocess.DEVNULL,
        )
        assert await asyncio.wait_for(process.wait(), 30) == 0


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("LEADFLOOR_")}
    return {**kept, "LEADFLOOR_DEMO_PASSWORD": PASSWORD, "LEADFLOOR_BCRYPT_ROUNDS": "4"}


@pytest.fixture(scope="session")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    folder = tmp_path_factory.mktemp("demo") / "data"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "main.py", "--demo", "--data", str(folder), "--port", str(port)]
    log = (folder.parent / "log").open("wb")
    process = subprocess.Popen(command, cwd=ROOT, env=environment(), stdout=log, stderr=log)
    url = f"http://127.0.0.1:{port}"
    try:
        _until_ready(url, process, folder.parent / "log")
        yield Demo(url, folder, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        log.close()


def _until_ready(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=1).status_code == 200:
                return
        except httpx.TransportError:
            process_is_starting = True
            assert process_is_starting
    raise AssertionError(log.read_text())


class Windows:
    """Chromium windows, one per person; `complaints` are what their consoles said."""

    def __init__(self, browser: Browser, demo: Demo) -> None:
        self._browser = browser
        self._demo = demo
        self.complaints: list[str] = []

    async def open(self, username: str) -> Page:
        """A window of its own, signed in by keyboard as a person would."""
        context = await self._browser.new_context(viewport={"width": 1680, "height": 980})
        page = await context.new_page()
        page.on("pageerror", lambda e: self.complaints.append(f"{username}: {e}"))
        page.on("console", lambda m: self.complaints.append(f"{username}: {m.text}") if m.type == "error" else None)
        await page.goto(f"{self._demo.url}/signin")
        await page.get_by_label("Company").fill("demo")
        await page.get_by_label("Username").fill(username)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_label("Password").press("Enter")
        await page.wait_for_url("**/board" if username != "partner1" else "**/home")
        return page


@pytest.fixture
async def windows(chromium: str, demo: Demo) -> AsyncIterator[Windows]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=chromium, args=list(FLAGS))
        windows = Windows(browser, demo)
        yield windows
        await browser.close()
