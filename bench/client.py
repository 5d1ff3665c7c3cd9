"""The senders, in a process of their own. `python -m bench.client JOB`: warms up, prints `{}`, waits for a line, measures, prints."""

import gc
import json
import os
import sys
from typing import Any

from . import floor, load
from .figures import percentile

WARM_UP = 400


async def work(job: dict[str, Any]) -> None:
    """`job`: port, secret, seed, core, count, connections and, for an open loop, rate."""
    secret = job["secret"].encode()
    requests = [load.webhook(job["port"], secret, raw) for raw in floor.bodies(WARM_UP + job["count"], job["seed"])]
    gc.collect()
    gc.freeze()
    senders = load.Load()
    await senders.connect(job["port"], job["connections"])
    await senders.as_fast_as_answered(requests[:WARM_UP])
    warm = senders.statuses[200]
    print("{}", flush=True)
    sys.stdin.readline()
    measured = requests[WARM_UP:]
    if "rate" in job:
        seconds = await senders.at_rate(measured, job["rate"])
    else:
        seconds = await senders.as_fast_as_answered(measured)
    waits = sorted(senders.waits)
    answer = {
        "accepted": warm + senders.statuses[200],
        "refused": {status: n for status, n in senders.statuses.items() if status != 200},
        "per_second": len(measured) / seconds,
        "p50": percentile(waits, 0.5),
        "p99": percentile(waits, 0.99),
        "max": waits[-1],
    }
    print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {given["core"]})
    load.run(work(given))
