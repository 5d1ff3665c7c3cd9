"""`python -m bench [--quick] [store] [webhooks] [streams]`: measure, check, print one table, keep it in bench/out/."""

import argparse
import asyncio
import logging
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from . import figures, floor, machine, store, streams, webhooks

Bench = Callable[[Path, Path, bool], list[figures.Row]]
"""(template of the data folder, folder to work in, quick) → rows. Raises figures.Wrong."""

BENCHES: dict[str, tuple[str, Bench]] = {
    "store": ("store: one inbound message, whole, on disk (synchronous FULL)", store.run),
    "webhooks": ("webhooks: signed, over HTTP, committed before the 200", webhooks.run),
    "streams": ("streams: commit → 500 SSE clients, 50 writes a second", streams.run),
}
OUT = Path(__file__).parent / "out"


def main(argv: list[str] | None = None) -> int:
    """0 when everything measured was also right; whether targets are met is for the reader."""
    args = _parser().parse_args(argv)
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    parts = [f"## Leadfloor, measured {time.strftime('%Y-%m-%d %H:%M')}{', quick' if args.quick else ''}", ""]
    parts.append(machine.described())
    tables, wrong, others = [], 0, machine.Others()
    with tempfile.TemporaryDirectory(prefix="leadfloor-bench-") as place:
        template, work = Path(place) / "template", Path(place)
        _say("building the floor …")
        asyncio.run(floor.furnish(template))
        for name in args.names or BENCHES:
            title, measure = BENCHES[name]
            _say(f"{name} …")
            try:
                tables.append(figures.table(title, measure(template, work, args.quick)))
            except figures.Wrong as fault:
                wrong += 1
                tables.append(f"### {title}\n\nWRONG, so not measured: {fault}\n")
    text = "\n".join([*parts, others.words(), "", *tables])
    print(text)
    OUT.mkdir(exist_ok=True)
    (OUT / f"{time.strftime('%Y%m%d-%H%M%S')}.md").write_text(text)
    return 1 if wrong else 0


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="|".join(BENCHES), help="all when left out")
    parser.add_argument("--quick", action="store_true", help="short runs, for a look")
    return parser


if __name__ == "__main__":
    sys.exit(main())
