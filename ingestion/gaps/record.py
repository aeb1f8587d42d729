"""The ledger in the database: read and written for a whole batch of answers at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from devices.models import Source
from ingestion.bulk import insert_rows, read_rows
from ingestion.entries import Entry
from ingestion.gaps import holes
from ingestion.gaps.days import Tally, add_to_days, entries_by_day, lost_by_day, zone_of
from ingestion.gaps.ledger import Answer, Ledger, Reset, Turn, after_live, after_page, answer_of
from ingestion.gaps.numbers import Range, Row
from ingestion.models import EntryLedger, PollState
from ingestion.normalise import FUTURE_TOLERANCE
from ingestion.sources.base import Fetched


class LiveAnswer(NamedTuple):
    """What a live poll brought; the state is as it was before the poll."""

    state: PollState
    fetched: Fetched


def note_answers(answers: Sequence[LiveAnswer], now: datetime) -> None:
    """Enter what live polls brought: numbers read, holes found, channels cleared.

    At most three statements for a batch in which nothing is wrong; inside the transaction that
    stores the readings.
    """
    ledgers = load([one.state.pk for one in answers])
    turns = {
        one.state.pk: after_live(
            ledgers.get(one.state.pk, Ledger()), answer_of(one.fetched), cursor_of(one.state), now
        )
        for one in answers
    }
    save({pk: turn.ledger for pk, turn in turns.items() if turn.ledger != ledgers.get(pk)})
    count_days([(one.state.source, turns[one.state.pk]) for one in answers], now)
    for one in answers:
        _act(one, turns[one.state.pk], now)


def note_entries(source: Source, entries: Iterable[Entry], now: datetime) -> None:
    """Enter rows that were read otherwise than by polling, such as by an import: they are there.

    Their numbers are those of the source's channel as it is now. Inside the transaction that
    stores their readings.
    """
    known = load([source.pk]).get(source.pk, Ledger())
    rows = [Row(one.sequence, int(one.at.timestamp())) for one in entries]
    turn = after_page(known, Answer(rows))
    if turn.ledger != known:
        save({source.pk: turn.ledger})
    count_days([(source, turn)], now)


def cursor_of(state: PollState) -> Row | None:
    """The newest row that was read before, as the ledger compares it."""
    if state.cursor_at is None or state.cursor_sequence is None:
        return None
    return Row(state.cursor_sequence, int(state.cursor_at.timestamp()))


def load(sources: Collection[int]) -> dict[int, Ledger]:
    """The ledgers of these sources, theirs alone until the transaction ends. One statement."""
    rows = read_rows(EntryLedger, "source_id", sources, lock=True)
    return {row.source_id: _ledger(row) for row in rows}


def save(ledgers: Mapping[int, Ledger]) -> None:
    """Write ledgers, known or new. One statement, none for none."""
    rows = [_row(pk, ledger) for pk, ledger in sorted(ledgers.items())]
    insert_rows(EntryLedger, rows, unique=["source_id"])


def count_days(turns: Sequence[tuple[Source, Turn]], now: datetime) -> None:
    """Count the rows that were read for the first time, by day. One statement, none for none."""
    tallies = {}
    for source, turn in turns:
        if not turn.fresh:
            continue
        zone = zone_of(source)
        entries = entries_by_day(turn.fresh, zone, now + FUTURE_TOLERANCE)
        lost = lost_by_day(turn.closed, zone, (now, now))
        for day in entries.keys() | lost.keys():
            tallies[source.pk, day] = Tally(entries.get(day, 0), lost.get(day, 0))
    if tallies:
        add_to_days(tallies)


def _act(answer: LiveAnswer, turn: Turn, now: datetime) -> None:
    """What an answer calls for beyond counting; rarely anything."""
    state, fetched = answer
    if turn.reset is Reset.CLEARED:
        holes.channel_cleared(state.source, turn, now)
        return
    if turn.reset is Reset.FELL:
        holes.numbers_fell(state.source, turn, now)
    if fetched.full:
        holes.note_hole(state, fetched, turn.ledger, now)
    elif turn.search:
        holes.search(state.source, turn.ledger, now)


def _ledger(row: EntryLedger) -> Ledger:
    return Ledger(
        epoch=row.epoch,
        ranges=tuple(Range(*one) for one in row.ranges),
        claimed=row.claimed,
        proves=row.proves,
        suspect=Reset(row.suspect) if row.suspect else None,
        hole_since=row.hole_since,
        search_at=row.search_at,
        barren=row.barren,
    )


def _row(pk: int, ledger: Ledger) -> dict[str, Any]:
    return {
        "source_id": pk,
        "epoch": ledger.epoch,
        "ranges": ledger.ranges,
        "claimed": ledger.claimed,
        "proves": ledger.proves,
        "suspect": ledger.suspect or "",
        "hole_since": ledger.hole_since,
        "search_at": ledger.search_at,
        "barren": ledger.barren,
    }
