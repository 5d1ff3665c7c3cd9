"""Sixty believable days of a sales floor, from a seed: for every customer how he came, what was said and done, where he stands.

A story is a list of beats (`demo_acts`); the same seed gives the same story relative to now.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from random import Random
from typing import Any

from backend.access.roles import OPEN, Status
from backend.channels import simulate
from backend.store.ids import DAY, HOUR, MINUTE

from . import demo_acts as acts
from . import demo_words as words
from .demo_acts import Beat
from .demo_cast import Cast
from .demo_words import Customer

DAYS = 60
POOL_FROM, POOL_TO = 20 * DAY, 40 * MINUTE
"""Between these (before now) new leads stay in the pool and managers give them out: who is still there is `new`."""

WEIGHTS = {
    Status.NEW: 18,
    Status.CONTACTED: 24,
    Status.QUALIFIED: 14,
    Status.DEMO: 12,
    Status.PROPOSAL: 11,
    Status.TRIAL: 5,
    Status.WON: 9,
    Status.LOST: 6,
    Status.UNQUALIFIED: 4,
}
AGES: dict[Status, tuple[float, float]] = {
    Status.NEW: (0.03, 18),
    Status.CONTACTED: (0.002, 16),
    Status.QUALIFIED: (1, 28),
    Status.DEMO: (3, 36),
    Status.PROPOSAL: (6, 46),
    Status.TRIAL: (12, 55),
    Status.WON: (12, DAYS - 1),
    Status.LOST: (6, DAYS - 1),
    Status.UNQUALIFIED: (1, DAYS - 1),
}
"""Days since the lead came, by where it stands now; the recent ones are the most."""

SOURCES = {
    ("WhatsApp", ""): 38,
    ("WhatsApp ad", ""): 14,
    ("Website", "integration1"): 12,
    ("LinkedIn", "cosales1"): 6,
    ("Facebook", "integration1"): 3,
    ("Instagram", "cosales1"): 2,
    ("ERP", "integration1"): 2,
    ("Import", "admin"): 4,
    ("Referral", "partner1"): 5,
    ("Phone", "sales"): 5,
    ("Email", "sales"): 3,
    ("Event", "sales"): 4,
    ("Word of mouth", "warrior"): 4,
}
"""(source, who adds the lead; "" is the customer himself by writing) → how often."""

BY_RULE = [way for way in SOURCES if way[1] in ("", "integration1", "cosales1", "admin")]
"""Ways that follow the inbound rule; the others are somebody's own from the start."""

STAGES = (Status.CONTACTED, Status.QUALIFIED, Status.DEMO, Status.PROPOSAL, Status.TRIAL, Status.WON)
SALES = ("sales1", "sales2", "sales3")
WARRIORS = ("warrior1", "warrior2", "warrior3")
CHATTING, TALKING = ("chat", "chat", "call", "note", "email"), ("call", "call", "note", "email")
AD = {"source_type": "ad", "source_id": "120214578900031", "headline": "The sales floor that answers"}


def story(cast: Cast, now: int, rng: Random) -> list[Beat]:
    """Every beat of a company, in strictly increasing time, none after `now`."""
    people = words.customers(rng)
    beats: list[Beat] = []
    for destiny in destinies(cast.leads, rng):
        beats += Plot(cast.phone, next(people), destiny, now, rng).written()
    beats.sort(key=lambda beat: beat.at)
    return list(_apart(beats))


def destinies(number: int, rng: Random) -> list[Status]:
    """Where each of the leads will stand, in the proportions of `WEIGHTS`, shuffled."""
    total = sum(WEIGHTS.values())
    found = [status for status, weight in WEIGHTS.items() for _ in range(round(number * weight / total))]
    found = (found + [Status.CONTACTED] * number)[:number]
    rng.shuffle(found)
    return found


def _apart(beats: list[Beat]) -> Iterator[Beat]:
    last = 0
    for beat in beats:
        last = max(beat.at, last + 1)
        yield beat._replace(at=last)


@dataclass
class Plot:
    """The story of one customer. Times are microseconds; `came` is when he became a lead."""

    account: str
    customer: Customer
    destiny: Status
    now: int
    rng: Random
    came: int = 0
    chats: bool = False
    beats: list[Beat] = field(default_factory=list)

    def written(self) -> list[Beat]:
        rng, (youngest, oldest) = self.rng, AGES[self.destiny]
        power = 3 if self.destiny is Status.NEW else 2
        age = int((youngest + (oldest - youngest) * rng.random() ** power) * DAY)
        self.came = self.now - age
        self._arrive(age)
        if self.destiny is not Status.NEW:
            self._work()
        return self.beats

    def _at(self, when: float, act: Any, **given: Any) -> None:
        self.beats.append(Beat(min(int(when), self.now), act, self.customer, given))

    def _soon(self, minutes: float) -> float:
        """So many minutes after he came, sooner for who came only just now."""
        return self.came + min(minutes * MINUTE, 0.4 * (self.now - self.came))

    def _chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    # How he came

    def _arrive(self, age: int) -> None:
        ways = BY_RULE if self.destiny is Status.NEW else list(SOURCES)
        if self.destiny is Status.NEW and age > DAY // 2:  # nobody who wrote is left without a word for days
            ways = [way for way in ways if way[1]]
        source, by = self.rng.choices(ways, [SOURCES[way] for way in ways])[0]
        if not by:
            self.chats = True
            referral = {"referral": AD} if source == "WhatsApp ad" else {}
            return self._writes(self.came, words.HELLOS, **referral)
        by = self.rng.choice(SALES if by == "sales" else WARRIORS) if by in ("sales", "warrior") else by
        fields = {"source": source, **self.customer.business()}
        if source == "Event":
            fields["event_name"] = self.rng.choice(words.EVENTS)
        if self._chance(0.2):
            fields["comments"] = self.rng.choice(words.COMMENTS)
        self._at(self.came, acts.capture, by=by, fields=fields)

    def _writes(self, when: float, texts: tuple[str, ...], **extra: Any) -> None:
        content = simulate.said(self.customer.fill(self.rng.choice(texts))) | extra
        person = (self.account, self.customer.phone, self.customer.name)
        self._at(when, acts.message, body=simulate.message(*person, content, int(when), self.rng))

    def _is_answered(self, when: float) -> None:
        text = self.customer.fill(self.rng.choice(words.ANSWERS))
        body = acts.echo(self.account, self.customer.phone, text, int(when), self.rng)
        self._at(when, acts.message, body=body)

    # What became of him

    def _work(self) -> None:
        rng = self.rng
        self._at(self._soon(rng.uniform(3, 45)), acts.dispatch, to=rng.choice(SALES))
        start = self._soon(50)
        end = start + (self.now - start) * rng.uniform(0.45, 0.97)
        if self.chats and self.came < self.now - rng.randrange(5, 90) * MINUTE:
            self._is_answered(start)
        if self._chance(0.45):
            self._at(start + MINUTE, acts.hand_to_warrior)
        if self._chance(0.16):
            self._at(start + 2 * MINUTE, acts.hand_to_partner)
        road = self._road()
        times = sorted(rng.uniform(start + (end - start) * 0.1, end) for _ in road)
        if road or self._chance(0.5):
            self._at(start + (end - start) * 0.08, acts.edit, fields=self.customer.business())
        for status, since, until in zip([STAGES[0], *road], [start, *times], [*times, end], strict=True):
            self._stage(status, since, until)
        for status, when in zip(road, times, strict=True):
            self._move(status, when)
        self._now(end)

    def _road(self) -> list[Status]:
        """The moves that lead to his destiny; some stages are skipped."""
        rng = self.rng
        if self.destiny is Status.UNQUALIFIED:
            return [*STAGES[1 : 1 + self._chance(0.25)], Status.UNQUALIFIED]
        if self.destiny is Status.LOST:
            return [*STAGES[1 : rng.randint(2, 5)], Status.LOST]
        road = list(STAGES[1 : STAGES.index(self.destiny) + 1])
        if self.destiny is Status.WON and self._chance(0.6):
            road.remove(Status.TRIAL)
        if len(road) > 2 and self._chance(0.15):
            road.remove(Status.QUALIFIED)
        return road

    def _move(self, status: Status, when: float) -> None:
        reasons = {Status.LOST: words.WHY_LOST, Status.UNQUALIFIED: words.WHY_NOT}.get(status)
        reason = {"reason": self.rng.choice(reasons)} if reasons else {}
        self._at(when, acts.move, to=status.value, **reason)
        if status is self.destiny and status in (Status.TRIAL, Status.WON) and self._chance(0.7):
            self._at(when + 20 * MINUTE, acts.hand_to_support)

    def _stage(self, status: Status, since: float, until: float) -> None:
        """What is said and done while he stands there."""
        rng = self.rng
        if status is Status.DEMO:
            text, minutes = rng.choice(words.MEETINGS)
            self._at(rng.uniform(since, until), acts.log, activity="meeting", text=text, minutes=minutes)
        for _ in range(rng.choice((0, 1, 1, 2))):
            self._talk(rng.uniform(since, until), until)

    def _talk(self, when: float, until: float) -> None:
        rng = self.rng
        kind = rng.choice(CHATTING if self.chats else TALKING)
        if kind == "chat":
            self._writes(when, words.ASKS)
            return self._is_answered(min(when + rng.uniform(2, 80) * MINUTE, max(until, when)))
        if kind == "call":
            text, outcome, minutes = rng.choice(words.CALLS)
            return self._at(when, acts.log, activity=kind, text=text, outcome=outcome, minutes=minutes)
        texts = words.NOTES if kind == "note" else words.EMAILS
        self._at(when, acts.log, activity=kind, text=rng.choice(texts))

    # How things are now

    def _now(self, end: float) -> None:
        """Who waits for an answer, what is planned, who else is in it, what is put away."""
        rng, is_open = self.rng, self.destiny in OPEN
        if is_open and self._chance(0.15):
            wrote = self.now - rng.random() ** 2 * 4 * HOUR - rng.uniform(1, 9) * MINUTE
            if wrote > end:
                self._writes(wrote, words.ASKS)
        if is_open and self._chance(0.45):
            due = self.now + int(rng.uniform(-2.5, 9) * 24) * HOUR
            self._at(end + MINUTE, acts.edit, fields={"next_followup_at": due // (15 * MINUTE) * 15 * MINUTE})
        if self._chance(0.09):
            self._at(end + 2 * MINUTE, acts.share)
        if self.destiny in (Status.LOST, Status.UNQUALIFIED) and self._chance(0.2):
            self._at(end + 3 * MINUTE, acts.archive)
