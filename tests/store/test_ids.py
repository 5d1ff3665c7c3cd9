"""Ids and times."""

import threading
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.store.ids import SECOND, Ids, first_id_at, microseconds, rfc3339, wall_clock

NOW = 1_795_000_000 * SECOND


def test_ids_of_many_threads_are_unique_and_rise_within_each() -> None:
    ids, made = Ids(wall_clock), [[0] for _ in range(8)]

    def make(mine: list[int]) -> None:
        mine[:] = [ids() for _ in range(3000)]

    threads = [threading.Thread(target=make, args=(mine,)) for mine in made]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({i for mine in made for i in mine}) == 24_000
    assert all(mine == sorted(mine) for mine in made)


def test_a_burst_in_one_moment_borrows_from_the_next() -> None:
    ids = Ids(lambda: NOW, node=5)
    made = [ids() for _ in range(10_000)]
    assert made == sorted(set(made))
    assert {i >> 12 & 1023 for i in made} == {5}  # never into the ids of another node
    assert made[-1] < first_id_at(NOW + 5000)  # 10,000 ids are three milliseconds' worth


def test_a_clock_that_steps_back_a_little_does_not_repeat_an_id() -> None:
    moments = iter([NOW, NOW - 5 * SECOND, NOW - SECOND, NOW + SECOND])
    ids = Ids(lambda: next(moments))
    made = [ids() for _ in range(4)]
    assert made == sorted(set(made))


def test_ids_of_different_nodes_differ_in_the_same_moment() -> None:
    assert len({Ids(lambda: NOW, node=n)() for n in range(1024)}) == 1024


@given(st.integers(1_600_000_000, 3_700_000_000), st.integers(1, 10**9))
def test_ids_sort_by_time_and_a_time_range_is_a_range_of_ids(second: int, later: int) -> None:
    at = second * SECOND
    made, after = Ids(lambda: at)(), Ids(lambda: at + later * 1000)()
    assert first_id_at(at) <= made < first_id_at(at + later * 1000) <= after < 2**63


def test_before_the_first_possible_id_the_range_begins_at_zero() -> None:
    assert first_id_at(0) == 0


@given(st.integers(0, 4_000_000_000 * SECOND))
def test_a_time_written_and_read_is_the_same_to_the_microsecond(at: int) -> None:
    assert microseconds(datetime.fromisoformat(rfc3339(at))) == at


@pytest.mark.parametrize(
    ("at", "written"),
    [
        (0, "1970-01-01T00:00:00.000000Z"),
        (1_795_000_000_512_345, "2026-11-18T11:06:40.512345Z"),
        (1_795_000_000_000_007, "2026-11-18T11:06:40.000007Z"),
    ],
)
def test_a_time_is_written_as_rfc3339_in_utc(at: int, written: str) -> None:
    assert rfc3339(at) == written


def test_microseconds_heed_the_zone() -> None:
    utc = datetime(2026, 11, 20, 12, 0, 0, 999_999, UTC)
    assert microseconds(utc) == microseconds(utc.astimezone(timezone(timedelta(hours=5, minutes=45))))
