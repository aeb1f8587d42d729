"""The move itself: month by month, each page compared, carried over where it differs, and verified.

The site goes on reading and writing at the source. A month that changed since it was verified is
compared again by the next pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from time import sleep

from django.db import transaction

from devices.readings.moving.pages import TABLES, Carrier, Moved, Page, Row, checksum, pages
from devices.readings.moving.progress import Progress
from devices.readings.store.engine import Engine
from devices.readings.store.partitions import Month

ROLLER_PAUSE_S = 0.2
Told = Callable[[str], object]


class MoveFailed(Exception):
    """What was written is not what is read back; the message says where."""


@dataclass(slots=True)
class Pass:
    """What one pass did: months compared, rows carried over or taken away, and rows in all."""

    months: int = 0
    carried: int = 0
    removed: int = 0
    rows: int = 0


class Move:
    """From one carrier to another."""

    def __init__(self, source: Carrier, target: Carrier, progress: Progress, tell: Told) -> None:
        """`tell` hears a line for people of each month that was compared."""
        self._source = source
        self._target = target
        self._progress = progress
        self._tell = tell

    def run(self) -> Pass:
        """One pass over all tables. Raises MoveFailed, and whatever either side says."""
        done = Pass()
        for table in TABLES:
            months = {*self._source.months(table), *self._target.months(table)}
            for month in sorted(months):
                self._month(table, month, done)
        return done

    def _month(self, table: Moved, month: Month, done: Pass) -> None:
        name = f"{month.year:04}-{month.month:02}"
        # Before it is read: what is written meanwhile is another fingerprint.
        source = self._source.fingerprint(table, month)
        if self._progress.is_equal(table.name, name, _both(source, self._target, table, month)):
            return
        counts = self._source.counts(table, month)
        there = self._target.counts(table, month)
        both = {one: max(counts.get(one, 0), there.get(one, 0)) for one in {*counts, *there}}
        before = done.carried + done.removed
        sums = []
        for page in pages(month, both):
            rows = self._source.rows(table, page)
            self._page(table, page, rows, done)
            sums.append(checksum(rows))
            done.rows += len(rows)
        self._progress.verified(table.name, name, _both(source, self._target, table, month))
        done.months += 1
        changed = done.carried + done.removed - before
        self._tell(
            f"{table.name} {name}: {sum(counts.values()):,} rows of {len(counts):,} series, "
            f"{changed:,} changed, checksum {checksum([tuple(sums)])[:12]}"
        )

    def _page(self, table: Moved, page: Page, rows: list[Row], done: Pass) -> None:
        """Make the target's page equal, and read it back."""
        there = self._target.rows(table, page)
        if checksum(there) == checksum(rows):
            return
        places = [table.columns.index(name) for name in table.key]

        def key(row: Row) -> Row:
            return tuple(row[place] for place in places)

        known = {key(row): row for row in there}
        wanted = {key(row): row for row in rows}
        if gone := sorted(known.keys() - wanted.keys()):
            self._target.remove(table, page, gone)
        if missing := [row for one, row in wanted.items() if known.get(one) != row]:
            self._target.put(table, page, missing)
        if checksum(self._target.rows(table, page)) != checksum(rows):
            raise MoveFailed(
                f"{table.name}: what {self._target.name} gives back is not what was written to it "
                f"({len(rows):,} rows of series {page.owners[0]} and following). Does anything "
                "else write there? Start again: what is verified is not done twice."
            )
        done.carried += len(missing)
        done.removed += len(gone)


def _both(source: str | None, target: Carrier, table: Moved, month: Month) -> str | None:
    """The fingerprints of both sides: somebody may empty the target, and begin anew."""
    if source is None:
        return None
    other = target.fingerprint(table, month)
    return None if other is None else f"{source} | {other}"


@contextmanager
def writers_held(books: Engine) -> Iterator[None]:
    """Nobody writes readings or rolls them up until the end: whoever tries waits. All may read."""
    with transaction.atomic():
        books.hold_closed()
        while not books.become_roller():
            sleep(ROLLER_PAUSE_S)
        yield
