"""How a stream begins: it joins first, so that nothing slips by; then what was missed; then what came meanwhile."""

from ..store.database import Store
from .fanout import Fanout, Reset, Subscriber
from .frames import Frame
from .replay import Replay, replay


async def catch_up(fanout: Fanout, store: Store, subscriber: Subscriber, cursor: str | None) -> None:
    """Give a subscriber that has joined: hello, what it missed since `cursor` (None: nothing) or a reset, ready, and what is live.

    Rights are those of the replay's own snapshot: what changes them afterwards comes as a fact with a higher number.
    """
    while True:
        asked_as, subscriber.held = subscriber.viewer, []  # what was held until now is within the snapshot read next
        async with fanout.replays:
            missed = await store.read(replay, asked_as, cursor)
        if subscriber.closing:
            return
        if missed.viewer is None:
            subscriber.bye("revoked", reconnect=False)
            return
        if subscriber.viewer is asked_as and missed.viewer == asked_as:
            break
        fanout.see_as(subscriber, missed.viewer)  # in other rooms now: what happened there meanwhile must be read too
    if missed.reset is not None:
        fanout.resets[missed.reset] += 1
    _begin(subscriber, missed, cursor)


def _begin(subscriber: Subscriber, missed: Replay, cursor: str | None) -> None:
    head = missed.head
    subscriber.epoch, subscriber.head = head.epoch.encode(), head.number
    held: list[Frame | Reset] = subscriber.held or []
    subscriber.held = None
    resumes = cursor is not None and missed.reset is None
    start = int(cursor.partition(".")[2]) if resumes and cursor else head.number
    hello = {"v": 1, "mode": "resume" if resumes else "live", "hb": 15, "exp": subscriber.expires_at // 1_000_000}
    subscriber.say("hello", hello, start)
    if missed.reset is not None:
        subscriber.say_reset(missed.reset, head.number)
    wanted = [frame for frame in missed.frames if subscriber.wants(frame)]
    for frame in wanted:
        subscriber.send(frame)
    subscriber.say("ready", {"v": 1, "replayed": len(wanted)}, head.number)
    for item in held:
        if isinstance(item, Reset):
            subscriber.collapse(*item)
        else:
            subscriber.give(item)
