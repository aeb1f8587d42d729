"""What an answer says about which entries of a source were read, and what is missing. Pure.

Numbers that follow each other without a hole prove that nothing is missing. Two things end that:
the owner clears the channel (numbers begin again at 1, older rows are gone), or numbers fall though
older rows are still there (then they prove nothing, and the cadence has to do).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from devices.tuples import of_columns
from ingestion.gaps import numbers
from ingestion.gaps.numbers import Hole, Range, Ranges, Row
from ingestion.sources.base import Fetched

# A number may show up late: two of the source's servers, and answers from a cache of five minutes.
PATIENCE = timedelta(minutes=6)
# After a search in vain the next one waits: at first this long, each time twice as long.
REST = timedelta(hours=1)
LONGEST_REST = timedelta(days=7)


class Reset(StrEnum):
    """Why numbering began anew."""

    CLEARED = "cleared"
    FELL = "fell"


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is known of a source's entry numbers since numbering last began anew (`epoch`).

    `claimed`: the last number by the source's own word. `proves`: numbers rise with time.
    `suspect`: what the last answer looked like. `hole_since`: when a hole was first seen.
    """

    epoch: int = 0
    ranges: Ranges = ()
    claimed: int | None = None
    proves: bool = True
    suspect: Reset | None = None
    hole_since: datetime | None = None
    search_at: datetime | None = None
    barren: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer, reduced to numbers and times. `told`: it said something about the channel."""

    rows: Sequence[Row] = ()
    last: int | None = None
    told: bool = False
    full: bool = False


@dataclass(frozen=True, slots=True)
class Turn:
    """The ledger after an answer, rows read for the first time, and what is to be done.

    `reached`: the last number before a reset. `closed`: holes too many to be looked for.
    """

    ledger: Ledger
    fresh: Sequence[Row] = field(default_factory=tuple)
    reset: Reset | None = None
    reached: int | None = None
    search: bool = False
    closed: Sequence[Hole] = field(default_factory=tuple)


def answer_of(fetched: Fetched) -> Answer:
    """What the ledger needs of an answer. Rows refused for a reason were read, too."""
    at, sequences, _ = zip(*fetched.entries, strict=True) if fetched.entries else ((), (), ())
    rows = of_columns(Row, sequences, list(map(int, map(datetime.timestamp, at))))
    rows += [
        Row(one.sequence, None if one.at is None else int(one.at.timestamp()))
        for one in fetched.refusals
        if one.field is None and one.sequence is not None
    ]
    facts = fetched.facts
    return Answer(rows, facts.last_entry_id if facts else None, facts is not None, fetched.full)


def after_live(
    ledger: Ledger,
    answer: Answer,
    cursor: Row | None,
    now: datetime,
    *,
    wanted_from: datetime | None = None,
) -> Turn:
    """The ledger after a live poll that asked for everything since (before) the cursor's row.

    `wanted_from`: since when rows are wanted at all, here and below; None: since ever.
    """
    verdict = _verdict(ledger, answer, cursor)
    if verdict in _SUSPECTED:
        return Turn(replace(ledger, suspect=_SUSPECTED[verdict]))
    if verdict in (_Verdict.CLEARED, _Verdict.FELL, _Verdict.RISES):
        return _anew(ledger, answer, verdict)
    added = numbers.add(ledger.ranges, answer.rows)
    told = ledger.claimed  # not this answer's: its last rows may show up in the next one
    ranges = replace(ledger, ranges=added.ranges)
    hole = told is not None and ledger.proves and bool(missing(ranges, told, wanted_from))
    after = replace(
        ranges,
        claimed=ledger.claimed if answer.last is None else answer.last,
        suspect=None,
        hole_since=(ledger.hole_since or now) if hole else None,
    )
    return Turn(
        after,
        added.fresh,
        search=to_be_searched(after, now),
        closed=_lost(ledger, added.closed, wanted_from),
    )


def after_page(ledger: Ledger, answer: Answer, *, wanted_from: datetime | None = None) -> Turn:
    """The ledger after a page, which may come from a cache: its rows count, its facts do not."""
    added = numbers.add(ledger.ranges, answer.rows)
    after = replace(ledger, ranges=added.ranges) if added.fresh else ledger
    if not missing(after, after.claimed, wanted_from):
        after = replace(after, hole_since=None)
    return Turn(after, added.fresh, closed=_lost(ledger, added.closed, wanted_from))


def numbered_alike(ledger: Ledger, rows: Iterable[Row]) -> list[Row]:
    """Those rows of elsewhere that can be of the channel as it is numbered now.

    Where numbering began anew, an older row had the same numbers: times tell.
    """
    if not ledger.proves or ledger.claimed is None or not ledger.ranges:
        return []
    known = [row for row in rows if 0 < row.number <= ledger.claimed]
    return [row for row in known if not ledger.epoch or _fits(ledger.ranges, row)]


def _fits(ranges: Ranges, row: Row) -> bool:
    before, after = numbers.neighbours(ranges, row.number)
    return row.at is not None and (
        (before is None or before.last_at is None or before.last_at <= row.at)
        and (after is None or after.first_at is None or row.at <= after.first_at)
    )


def after_search(
    ledger: Ledger,
    upto: int | None,
    expected: int | None,
    now: datetime,
    *,
    wanted_from: datetime | None = None,
) -> tuple[Ledger, list[Hole]]:
    """The ledger once all numbers up to one were looked for, and those that were not found.

    `expected`: how many were looked for.
    """
    lost = missing(ledger, upto, wanted_from)
    settled = replace(ledger, ranges=numbers.closed(ledger.ranges, lost), hole_since=None)
    if expected is None or sum(hole.size for hole in lost) < expected:
        return replace(settled, search_at=None, barren=0), lost
    rest = min(REST * 2 ** min(ledger.barren, 20), LONGEST_REST)
    return replace(settled, search_at=now + rest, barren=min(ledger.barren + 1, 1000)), lost


def missing(ledger: Ledger, upto: int | None, wanted_from: datetime | None) -> list[Hole]:
    """Numbers up to one that were not read and are wanted."""
    found = numbers.within(numbers.holes(ledger.ranges, upto), upto)
    return _wanted(ledger, found, wanted_from)


def _wanted(ledger: Ledger, found: Sequence[Hole], wanted_from: datetime | None) -> list[Hole]:
    since = None if wanted_from is None else int(wanted_from.timestamp())
    return numbers.wanted(found, ledger.ranges, since)


class _Verdict(StrEnum):
    SAME = "same"
    SUSPECT_CLEARED = "suspect cleared"
    SUSPECT_FELL = "suspect fell"
    CLEARED = "cleared"
    FELL = "fell"
    RISES = "rises"


_SUSPECTED = {_Verdict.SUSPECT_CLEARED: Reset.CLEARED, _Verdict.SUSPECT_FELL: Reset.FELL}


def _verdict(ledger: Ledger, answer: Answer, cursor: Row | None) -> _Verdict:
    claimed = ledger.claimed
    if claimed is None or not answer.told or not ledger.ranges:
        return _Verdict.SAME
    if answer.last is None:
        return _Verdict.SAME if answer.rows else _Verdict.CLEARED
    gone = cursor is not None and not any(_not_after(row, cursor) for row in answer.rows)
    if answer.last < claimed:
        return _fallen(ledger, answer, gone)
    if gone and _reused(ledger, answer):
        return _Verdict.CLEARED  # and the new numbers have passed the old ones already
    return _Verdict.RISES if answer.last > claimed and not ledger.proves else _Verdict.SAME


def _fallen(ledger: Ledger, answer: Answer, gone: bool) -> _Verdict:
    """What a last number below the one before means; `gone`: no older row is there any more."""
    if gone and any(row.number == 1 for row in answer.rows):
        return _Verdict.CLEARED
    if not ledger.proves:
        return _Verdict.SAME
    if ledger.suspect is not None:
        return _Verdict(ledger.suspect.value)
    # One answer alone may come from a server of theirs that lags behind.
    return _Verdict.SUSPECT_CLEARED if gone else _Verdict.SUSPECT_FELL


def _not_after(row: Row, cursor: Row) -> bool:
    return cursor.at is not None and row.at is not None and row.at <= cursor.at


def _reused(ledger: Ledger, answer: Answer) -> bool:
    """Whether numbers that were read before stand at rows that came later."""
    if answer.full or not answer.rows:
        return False
    return len(numbers.add(ledger.ranges, answer.rows).fresh) < len(answer.rows)


def _anew(ledger: Ledger, answer: Answer, verdict: _Verdict) -> Turn:
    # A cleared channel counts from 1: what comes before the first row that was seen is missing.
    start = (_ZERO,) if verdict is _Verdict.CLEARED else ()
    added = numbers.add(start, answer.rows)
    begun = Ledger(
        epoch=ledger.epoch + 1,
        ranges=added.ranges,
        claimed=answer.last,
        proves=verdict is not _Verdict.FELL,
    )
    reset = None if verdict is _Verdict.RISES else Reset(verdict.value)
    return Turn(begun, added.fresh, reset, ledger.claimed)


def _lost(ledger: Ledger, closed: Sequence[Hole], wanted_from: datetime | None) -> Sequence[Hole]:
    """Holes that mean a loss: of wanted numbers that prove something."""
    proven = ledger.proves and ledger.claimed is not None
    return _wanted(ledger, closed, wanted_from) if proven else ()


_ZERO = Range(0, 0, None, None)


def to_be_searched(ledger: Ledger, now: datetime) -> bool:
    """Whether numbers have been missing for long enough, and were not just looked for."""
    seen = ledger.hole_since
    if seen is None or now - seen < PATIENCE:
        return False
    return ledger.search_at is None or now >= ledger.search_at
