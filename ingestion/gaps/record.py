"""The ledger in the database: read and written for a whole batch of answers at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from devices.models import Source
from ingestion.bulk import insert_rows, read_values
from ingestion.entries import Entry
from ingestion.gaps import holes
from ingestion.gaps.days import Tally, add_to_days, entries_by_day, lost_by_day, zone_of
from ingestion.gaps.ledger import (
    Answer,
    Ledger,
    Reset,
    Turn,
    after_live,
    after_page,
    answer_of,
    numbered_alike,
)
from ingestion.gaps.numbers import Range, Row
from ingestion.models import EntryLedger, PollState
from ingestion.normalise import FUTURE_TOLERANCE
from ingestion.sources.base import Fetched

STANDS_STILL = 5
"""So many entries of one instant: fewer a device may well send within a second."""
_NOTHING = Ledger()


class LiveAnswer(NamedTuple):
    """What a live poll brought; the state is as it was before the poll."""

    state: PollState
    fetched: Fetched


def note_answers(answers: Sequence[LiveAnswer], now: datetime) -> None:
    """Enter what live polls brought: numbers read, holes found, channels cleared.

    At most three statements for a batch in which nothing is wrong; inside the transaction that
    stores the readings.
    """
    ledgers = load([one.state.source_id for one in answers])
    turns = {
        state.source_id: after_live(
            ledgers.get(state.source_id, _NOTHING),
            answer_of(fetched),
            cursor_of(state),
            now,
            wanted_from=state.source.history_from,
        )
        for state, fetched in answers
    }
    save({pk: turn.ledger for pk, turn in turns.items() if turn.ledger != ledgers.get(pk)})
    count_days([(one.state.source, turns[one.state.source_id]) for one in answers], now)
    for one in answers:
        _act(one, turns[one.state.source_id], now)


def note_entries(source: Source, entries: Iterable[Entry], now: datetime) -> None:
    """Enter rows that were read otherwise than by polling, such as by an import: they are there.

    Those that can be of the channel as it is numbered now. Inside the transaction that stores
    their readings.
    """
    known = load([source.pk]).get(source.pk, Ledger())
    rows = [Row(one.sequence, int(one.at.timestamp())) for one in entries]
    answer = Answer(numbered_alike(known, rows))
    turn = after_page(known, answer, wanted_from=source.history_from)
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
    rows = read_values(EntryLedger, _COLUMNS, "source_id", sources, lock=True)
    return {source: _ledger(*values) for source, *values in rows}


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
    if turn.fresh and len(fetched.entries) >= STANDS_STILL:
        _look_at_clock(state.source, fetched, now)


def _look_at_clock(source: Source, fetched: Fetched, now: datetime) -> None:
    """Whether the newest entries all carry the newest time; the last answer's come with them."""
    newest = max(entry.at for entry in fetched.entries)
    entries = sum(entry.at == newest for entry in fetched.entries)
    if entries >= STANDS_STILL:
        holes.clock_stands(source, entries, newest, now)


_COLUMNS = ("source_id", *(one.name for one in dataclasses.fields(Ledger)))


def _ledger(
    epoch: int,
    ranges: Iterable[tuple[int, int, int | None, int | None]],
    claimed: int | None,
    proves: bool,
    suspect: str,
    *rest: Any,
) -> Ledger:
    """The ledger of a row's values, in their order."""
    stored = tuple(Range(*one) for one in ranges)
    return Ledger(epoch, stored, claimed, proves, Reset(suspect) if suspect else None, *rest)


def _row(pk: int, ledger: Ledger) -> dict[str, Any]:
    values = {name: getattr(ledger, name) for name in _COLUMNS[1:]}
    return {"source_id": pk, **values, "suspect": ledger.suspect or ""}
