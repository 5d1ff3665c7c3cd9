"""The door: serve (default), or one of the operator's commands. `python main.py --help` lists them."""

import argparse
import asyncio
import socket
import sys
from dataclasses import replace
from pathlib import Path
from types import FrameType

import uvicorn

from backend import settings as environment
from backend.app import create_app
from backend.errors import HubError
from backend.hub import Hub
from backend.logs import configure as configure_logs
from backend.settings import Settings, UnsafeSettings
from backend.store.migrate import SchemaRefused
from jobs import demo, operator, simulate

COMMANDS = {
    "migrate": operator.migrate,
    "backup": operator.backup,
    "restore": operator.restore,
    "company": operator.company,
    "verify": operator.verify,
    "simulate": simulate.run,
}
GRACE_SECONDS = 3
SEND_BUFFER = 64 * 1024
"""What the kernel may hold for a slow stream before we notice."""


class Server(uvicorn.Server):
    """Says goodbye to the streams before it waits for connections to end: it would wait for them for ever."""

    def __init__(self, config: uvicorn.Config, hub: Hub, greeting: str) -> None:
        super().__init__(config)
        self._hub = hub
        self._greeting = greeting

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(self._greeting, flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._hub.say_bye()
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        super().handle_exit(sig, frame)
        self._captured_signals.clear()  # or it would be raised again at the end: whoever was asked to stop and did ends with 0


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        given = {k: v for k, v in (("data", args.data), ("host", args.host), ("port", args.port)) if v is not None}
        settings = environment.read(**given)
        configure_logs(settings.log_format)
        if args.command:
            return COMMANDS[args.command](settings, args)
        return serve(settings, with_demo=args.demo, traffic=args.demo_traffic)
    except (UnsafeSettings, SchemaRefused, HubError) as refused:
        print(f"leadfloor: {refused}", file=sys.stderr)
        return 2


def serve(settings: Settings, *, with_demo: bool, traffic: bool) -> int:
    """Serve until SIGTERM or Ctrl-C. Raises UnsafeSettings or SchemaRefused where it must not start."""
    with _listen(settings) as listener:
        settings = replace(settings, port=listener.getsockname()[1])  # 0 takes any that is free
        asyncio.run(_serve(Hub(settings), listener, with_demo=with_demo, traffic=traffic))
    return 0


async def _serve(hub: Hub, listener: socket.socket, *, with_demo: bool, traffic: bool) -> None:
    await hub.open()
    try:
        if with_demo:
            await demo.ensure(hub)
        await demo.refuse_in_production(hub)
    except BaseException:
        await hub.close()
        raise
    config = uvicorn.Config(
        create_app(hub),
        log_config=None,
        access_log=False,
        http="httptools",
        ws_per_message_deflate=False,
        timeout_graceful_shutdown=GRACE_SECONDS,
        timeout_keep_alive=30,
        server_header=False,
        proxy_headers=False,
    )
    customers = asyncio.create_task(demo.traffic(hub)) if traffic else None
    await Server(config, hub, await greeting(hub)).serve([listener])
    if customers:
        customers.cancel()


async def greeting(hub: Hub) -> str:
    """What is printed once the hub serves: where, and how to sign in."""
    address = hub.settings.public_url or f"http://{hub.settings.host}:{hub.settings.port}"
    if await demo.is_demo(hub):
        return f"\nLeadfloor is at {address}\n{demo.sign_ins(hub)}"
    if not await hub.companies():
        return f"\nLeadfloor is at {address}\nSet it up, once, within the hour: {address}/setup/{hub.setup_token()}\n"
    return f"\nLeadfloor is at {address}\n"


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # asyncio sends small writes at once (TCP_NODELAY) only where the protocol is named; else an answer may wait 40 ms
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
    try:
        listener.bind((settings.host, settings.port))
    except OSError as error:
        listener.close()
        raise UnsafeSettings(f"{settings.host}:{settings.port} can't be listened on: {error.strerror}.") from None
    listener.listen(2048)
    return listener


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="main.py", description="Leadfloor: the live hub of a sales floor.")
    parser.add_argument("--data", type=Path, help="the data folder (LEADFLOOR_DATA)")
    parser.add_argument("--host")
    parser.add_argument("--port", type=int)
    parser.add_argument("--demo", action="store_true", help="with the demo companies, where the folder is empty")
    parser.add_argument("--demo-traffic", action="store_true", help="and customers who keep writing")
    commands = parser.add_subparsers(dest="command", metavar="command")
    commands.add_parser("migrate", help="bring every database to this version's schema")
    commands.add_parser("verify", help="recompute reach and counts, check the journal's seal")
    backup = commands.add_parser("backup", help="everything but the secret key into one file")
    backup.add_argument("file", type=Path)
    restore = commands.add_parser("restore", help="a backup into an empty data folder")
    restore.add_argument("file", type=Path)
    company = commands.add_parser("company", help="company create SLUG [NAME]")
    company.add_argument("what", choices=["create"])
    company.add_argument("slug")
    company.add_argument("name", nargs="?")
    simulate.arguments(commands.add_parser("simulate", help="realistic signed webhooks to a running hub"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
