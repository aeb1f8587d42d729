"""Ranges of entry numbers, and the holes between them. Pure; times are whole seconds since 1970."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import NamedTuple

MOST_RANGES = 100
"""A source whose numbers have more holes than this at once has the lowest ones given up."""


class Row(NamedTuple):
    """A row that was read: its number, and its time if that could be read."""

    number: int
    at: int | None


class Range(NamedTuple):
    """Numbers from `first` to `last`, all read (or given up), and the times of these two."""

    first: int
    last: int
    first_at: int | None
    last_at: int | None


class Hole(NamedTuple):
    """Numbers from `first` to `last`, none read; `since` and `until`: times of its neighbours."""

    first: int
    last: int
    since: int | None
    until: int | None

    @property
    def size(self) -> int:
        """How many numbers."""
        return self.last - self.first + 1


Ranges = tuple[Range, ...]


class Added(NamedTuple):
    """Ranges with some rows more; `fresh`: rows that were not in them; `closed`: holes given up."""

    ranges: Ranges
    fresh: list[Row]
    closed: list[Hole]


def add(ranges: Sequence[Range], rows: Iterable[Row]) -> Added:
    """The ranges with these rows; of too many holes the lowest are given up."""
    row_of = {row.number: row for row in rows}
    unread = sorted(row_of)
    for one in ranges:
        del unread[bisect_left(unread, one.first) : bisect_right(unread, one.last)]
    fresh = [row_of[number] for number in unread]
    if not fresh:
        return Added(tuple(ranges), [], [])
    whole = _joined(sorted([*ranges, *_runs(fresh)]))
    surplus = len(whole) - MOST_RANGES
    if surplus <= 0:
        return Added(whole, fresh, [])
    under = whole[: surplus + 1]
    return Added(given_up(whole, under[-1].last), fresh, holes(under, None))


def holes(ranges: Sequence[Range], upto: int | None) -> list[Hole]:
    """Every hole between the ranges, and from the last one to `upto`, in order."""
    found = [
        Hole(before.last + 1, after.first - 1, before.last_at, after.first_at)
        for before, after in pairwise(ranges)
    ]
    if ranges and upto is not None and upto > ranges[-1].last:
        found.append(Hole(ranges[-1].last + 1, upto, ranges[-1].last_at, None))
    return found


def neighbours(ranges: Sequence[Range], number: int) -> tuple[Range | None, Range | None]:
    """The ranges before and after a number; the one that holds it counts as before."""
    place = bisect_right(ranges, number, key=lambda one: one.first)
    return (
        ranges[place - 1] if place else None,
        ranges[place] if place < len(ranges) else None,
    )


def wanted(found: Iterable[Hole], ranges: Sequence[Range], since: int | None) -> list[Hole]:
    """The holes above the first range that reaches the time from which rows are wanted.

    What is below was never asked for, but for ranges that somebody wanted besides.
    """
    if since is None:
        return list(found)
    reaching = (one.first for one in ranges if one.last_at is None or one.last_at >= since)
    floor = next(reaching, None)
    return [] if floor is None else [hole for hole in found if hole.first > floor]


def within(found: Iterable[Hole], upto: int | None) -> list[Hole]:
    """The parts of the holes up to a number; all of them without one."""
    if upto is None:
        return list(found)
    return [
        hole if hole.last <= upto else hole._replace(last=upto)
        for hole in found
        if hole.first <= upto
    ]


def closed(ranges: Sequence[Range], found: Iterable[Hole]) -> Ranges:
    """The ranges with these holes closed: nobody looks for those any more."""
    filled = [Range(one.first, one.last, one.since, one.since) for one in found]
    return _joined(sorted([*ranges, *filled], key=lambda one: one.first))


def given_up(ranges: Sequence[Range], upto: int | None) -> Ranges:
    """The ranges with the holes up to a number closed: nobody looks for those any more."""
    if not ranges or upto is None or upto < ranges[0].first:
        return tuple(ranges)
    under = [one for one in ranges if one.first <= upto]
    first, last = under[0], under[-1]
    whole = Range(first.first, max(last.last, upto), first.first_at, last.last_at)
    return _joined([whole, *ranges[len(under) :]])


def _runs(rows: Sequence[Row]) -> list[Range]:
    """Rows in order of their numbers, as ranges."""
    if rows[-1].number - rows[0].number == len(rows) - 1:  # most often all in one
        return [Range(rows[0].number, rows[-1].number, rows[0].at, rows[-1].at)]
    runs: list[Range] = []
    first = last = rows[0]
    for row in rows[1:]:
        if row.number != last.number + 1:
            runs.append(Range(first.number, last.number, first.at, last.at))
            first = row
        last = row
    runs.append(Range(first.number, last.number, first.at, last.at))
    return runs


def _joined(ranges: Iterable[Range]) -> Ranges:
    """Ranges in order that do not overlap, with those that touch made one."""
    joined: list[Range] = []
    for one in ranges:
        if joined and one.first <= joined[-1].last + 1:
            joined[-1] = joined[-1]._replace(last=one.last, last_at=one.last_at)
        else:
            joined.append(one)
    return tuple(joined)
