"""Entry numbers as ranges: what was read, what is missing; whatever order rows come in. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ingestion.gaps import numbers
from ingestion.gaps.ledger import (
    LONGEST_REST,
    PATIENCE,
    Answer,
    Ledger,
    Reset,
    Turn,
    after_live,
    after_page,
    after_search,
)
from ingestion.gaps.numbers import Hole, Range, Row

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
MINUTE = 60
SOME = st.lists(st.integers(0, 400), max_size=60)


def rows(*found: int, at: int = 0, step: int = MINUTE) -> list[Row]:
    """Rows with these numbers, a minute apart by their numbers."""
    return [Row(number, at + number * step) for number in found]


def answer(*found: int, last: int | None = None, full: bool = False, at: int = 0) -> Answer:
    told = max(found) if last is None and found else last
    return Answer(rows(*found, at=at), told, told=True, full=full)


def known(upto: int) -> Ledger:
    return Ledger(ranges=(Range(1, upto, MINUTE, upto * MINUTE),), claimed=upto)


def cursor(number: int) -> Row:
    return Row(number, number * MINUTE)


def numbers_in(ranges: numbers.Ranges) -> set[int]:
    return {number for one in ranges for number in range(one.first, one.last + 1)}


@given(st.lists(SOME, max_size=6))
def test_ranges_hold_exactly_what_was_read_in_any_order(batches: list[list[int]]) -> None:
    ranges: numbers.Ranges = ()
    seen: set[int] = set()
    for batch in batches:
        added = numbers.add(ranges, rows(*batch))
        assert {one.number for one in added.fresh} == set(batch) - seen
        seen |= set(batch)
        ranges = added.ranges
        if not added.closed:
            assert numbers_in(ranges) == seen
    assert all(a.last + 1 < b.first for a, b in pairwise(ranges))
    assert len(ranges) <= numbers.MOST_RANGES


@given(SOME, st.integers(0, 500))
def test_holes_and_ranges_together_are_everything_in_between(found: list[int], upto: int) -> None:
    ranges = numbers.add((), rows(*found)).ranges
    gaps = numbers.holes(ranges, upto)
    between = {number for hole in gaps for number in range(hole.first, hole.last + 1)}
    top = max([*found, upto]) if found else 0
    assert between == (set(range(min(found), top + 1)) - set(found) if found else set())
    assert sum(hole.size for hole in gaps) == len(between)


@given(SOME, st.integers(0, 500))
def test_what_is_given_up_is_no_hole_any_more(found: list[int], upto: int) -> None:
    ranges = numbers.given_up(numbers.add((), rows(*found)).ranges, upto)
    assert not numbers.within(numbers.holes(ranges, upto), upto)
    assert numbers_in(ranges) >= set(found)


@given(SOME, st.integers(0, 500), st.integers(0, 500))
def test_only_holes_above_the_first_wanted_row_are_missing_and_closed(
    found: list[int], upto: int, first_wanted: int
) -> None:
    """Each number's row comes a minute after the one before it."""
    ranges = numbers.add((), rows(*found)).ranges
    since = first_wanted * 60
    holes = numbers.within(numbers.holes(ranges, upto), upto)
    wanted = numbers.wanted(holes, ranges, since)
    reached = [one for one in ranges if one.last >= first_wanted]
    assert wanted == [one for one in holes if reached and one.first > reached[0].first]
    closed = numbers.closed(ranges, wanted)
    assert numbers.wanted(numbers.within(numbers.holes(closed, upto), upto), closed, since) == []
    assert numbers_in(closed) == numbers_in(ranges) | {
        number for hole in wanted for number in range(hole.first, hole.last + 1)
    }
    assert numbers.closed(ranges, holes) == numbers.given_up(ranges, upto)


@given(st.integers(0, 1_000_000), st.integers(250, 600))
def test_too_many_holes_are_given_up_from_below_and_told(seed: int, count: int) -> None:
    found = Random(seed).sample(range(10_000), count)
    added = numbers.add((), rows(*found))
    given_up = {n for hole in added.closed for n in range(hole.first, hole.last + 1)}
    assert len(added.ranges) == numbers.MOST_RANGES
    assert given_up.isdisjoint(found)
    assert numbers_in(added.ranges) == set(found) | given_up


def test_a_hole_lies_between_the_times_of_its_neighbours() -> None:
    ranges = numbers.add((), rows(1, 2, 5)).ranges
    assert numbers.holes(ranges, 7) == [Hole(3, 4, 120, 300), Hole(6, 7, 300, None)]


# --- answers ------------------------------------------------------------------------------------


def test_a_contiguous_channel_is_one_range_and_never_searched() -> None:
    ledger = Ledger()
    for top in range(5, 500, 5):
        window = range(max(top - 7, 1), top + 1)
        turn = after_live(ledger, answer(*window), cursor(top - 5), NOW)
        ledger = turn.ledger
        assert not turn.search
        assert turn.reset is None
    assert ledger.ranges == (Range(1, 495, 60, 495 * 60),)


def test_missing_numbers_are_searched_after_a_while_not_at_once() -> None:
    turn = after_live(known(10), answer(9, 10, 31, 32), cursor(10), NOW)
    turn = after_live(turn.ledger, answer(32, last=32), cursor(32), NOW + PATIENCE / 2)
    assert turn.ledger.hole_since == NOW + PATIENCE / 2 or not turn.search
    later = after_live(turn.ledger, answer(32, last=32), cursor(32), NOW + 2 * PATIENCE)
    assert later.search


def test_a_number_that_shows_up_late_ends_the_wait() -> None:
    turn = after_live(known(10), answer(9, 10, 12), cursor(10), NOW)
    turn = after_live(turn.ledger, answer(12), cursor(12), NOW + timedelta(seconds=15))
    assert turn.ledger.hole_since is not None
    turn = after_live(turn.ledger, answer(11, 12, 13), cursor(12), NOW + timedelta(seconds=30))
    assert (turn.ledger.hole_since, len(turn.ledger.ranges)) == (None, 1)


def test_numbers_beyond_the_newest_row_are_missed_too() -> None:
    """A bulk upload of old rows: nothing new in time, but the channel's last number rose."""
    turn = after_live(known(10), answer(10, last=60), cursor(10), NOW)
    assert turn.ledger.hole_since is None  # perhaps written between rows and facts of the answer
    turn = after_live(turn.ledger, answer(10, last=60), cursor(10), NOW)
    turn = after_live(turn.ledger, answer(10, last=60), cursor(10), NOW + PATIENCE)
    assert turn.search


def test_searches_in_vain_become_rare() -> None:
    ledger, at, searches = known(10), NOW, 0
    for number in range(12, 40_000, 2):  # every other number does not exist
        at += timedelta(minutes=1)
        turn = after_live(ledger, answer(number - 2, number), cursor(number - 2), at)
        ledger = turn.ledger
        assert len(ledger.ranges) <= numbers.MOST_RANGES
        if turn.search:
            ledger, lost = after_search(ledger, ledger.claimed, None if not searches else 1, at)
            assert lost
            searches += 1
    assert searches <= 10
    assert ledger.search_at is not None
    assert ledger.search_at - at <= LONGEST_REST


def test_a_search_that_finds_everything_leaves_nothing() -> None:
    turn = after_live(known(10), answer(10, 15, last=15), cursor(10), NOW)
    found = after_page(turn.ledger, answer(11, 12, 13, 14))
    ledger, lost = after_search(found.ledger, 15, 4, NOW)
    assert (lost, len(ledger.ranges), ledger.barren) == ([], 1, 0)


# --- channels that are cleared, numbers that fall ------------------------------------------------


def reset_of(ledger: Ledger, *answers: tuple[Answer, Row | None]) -> list[Reset | None]:
    found = []
    for given_answer, at in answers:
        turn: Turn = after_live(ledger, given_answer, at, NOW)
        ledger = turn.ledger
        found.append(turn.reset)
    return found


def test_an_empty_channel_that_had_entries_was_cleared() -> None:
    assert reset_of(known(10), (Answer(told=True), cursor(10))) == [Reset.CLEARED]
    assert reset_of(Ledger(), (Answer(told=True), None)) == [None]
    assert reset_of(known(10), (Answer(told=False), cursor(10))) == [None]


def test_numbers_that_begin_at_1_again_tell_of_a_clear_at_once() -> None:
    again = Answer([Row(1, 700), Row(2, 760)], 2, told=True)
    turn = after_live(known(10), again, cursor(10), NOW)
    assert (turn.reset, turn.reached, turn.ledger.epoch) == (Reset.CLEARED, 10, 1)
    assert [one.number for one in turn.fresh] == [1, 2]


def test_a_channel_that_filled_up_again_between_two_polls_was_cleared() -> None:
    again = Answer([Row(n, 700 + n) for n in range(1, 15)], 14, told=True)
    assert reset_of(known(10), (again, cursor(10))) == [Reset.CLEARED]


def test_a_lower_last_number_counts_once_it_is_confirmed() -> None:
    lagging = (answer(9, last=9), cursor(10))
    assert reset_of(known(10), lagging, (answer(9, 10, 11), cursor(10))) == [None, None]
    cleared = (Answer([Row(50, 90_000)], 50, told=True, full=True), cursor(300))
    assert reset_of(known(300), cleared, cleared) == [None, Reset.CLEARED]


def test_falling_numbers_are_told_once_and_prove_nothing() -> None:
    def falling(top: int) -> tuple[Answer, Row]:
        found = [Row(1000 - n, n * MINUTE) for n in range(top - 3, top + 1)]
        return Answer(found, 1000 - top, told=True), Row(1000 - top + 1, (top - 1) * MINUTE)

    ledger, resets = Ledger(ranges=(Range(985, 1000, 900, 0),), claimed=990), []
    for top in range(11, 40):
        turn = after_live(ledger, *falling(top), NOW + timedelta(minutes=top))
        ledger = turn.ledger
        resets.append(turn.reset)
        assert not turn.search
    assert [one for one in resets if one] == [Reset.FELL]
    assert not ledger.proves


def test_numbers_that_rise_again_prove_again() -> None:
    ledger = Ledger(ranges=(Range(50, 60, 0, 600),), claimed=50, proves=False)
    turn = after_live(ledger, answer(49, 50, 51, 52), cursor(50), NOW)
    assert (turn.ledger.proves, turn.reset, turn.ledger.epoch) == (True, None, 1)
