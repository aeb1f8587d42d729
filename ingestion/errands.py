"""The two errands of a worker: live polls, stored many together, and backfill pages, one by one.

Each says how its rows are loaded, for which window their sources are asked, and how the answers are
stored: in one transaction, after a look at the leases.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Generic, Protocol, TypeVar

import structlog
from django.db import models, transaction

from devices.alerts.state import SourceState
from devices.models import Source
from devices.readings.samples import Origin
from ingestion import gaps
from ingestion.bulk import insert_rows, read_values
from ingestion.claims import Claim
from ingestion.drift.examine import examine
from ingestion.drift.findings import Findings
from ingestion.drift.record import record, released
from ingestion.loading import load_gaps, load_polls
from ingestion.models import Gap, Lane, PollLog, PollState
from ingestion.pipeline import Delivery, ingest, ingest_all
from ingestion.polling import Asked
from ingestion.rules import Rules, field_rules
from ingestion.settle import Poll, log_row, settle_polls
from ingestion.sources.base import Window

log = structlog.get_logger(__name__)

Row = TypeVar("Row", PollState, Gap)


@dataclass(frozen=True, slots=True)
class Answer(Generic[Row]):
    """What came of asking the source of a claimed row."""

    claim: Claim
    row: Row
    asked: Asked

    @property
    def source(self) -> Source:
        """The source that was asked."""
        return self.row.source


class Errand(Protocol[Row]):
    """What a worker is sent for."""

    lane: Lane

    def rows(self) -> models.QuerySet[Row]:
        """All rows that can be claimed."""

    def load(self, claims: Sequence[Claim]) -> dict[int, Row]:
        """The claimed rows with their configuration, in a constant number of queries."""

    def window(self, row: Row, now: datetime) -> Window:
        """What the row's source is asked for."""

    def failed_ago_s(self, row: Row, now: datetime) -> float | None:
        """How long ago the row's source failed, if it did the last time it was asked."""

    def together(self, answers: Sequence[Answer[Row]]) -> Iterator[Sequence[Answer[Row]]]:
        """Answers that can be stored in one transaction."""

    def store(self, answers: Sequence[Answer[Row]], now: datetime) -> int:
        """Store such answers in one transaction; how many were settled.

        One whose lease was lost to another worker is refused. Raises whatever goes wrong; then
        nothing was stored.
        """


class Polling:
    """Live polls."""

    lane = Lane.LIVE

    def rows(self) -> models.QuerySet[PollState]:
        """See `Errand`."""
        return PollState.objects.all()

    def load(self, claims: Sequence[Claim]) -> dict[int, PollState]:
        """See `Errand`."""
        return load_polls(claims)

    def window(self, row: PollState, now: datetime) -> Window:
        """See `Errand`."""
        return gaps.live_window(row, now)

    def failed_ago_s(self, row: PollState, now: datetime) -> float | None:
        """See `Errand`."""
        if not row.failures or row.last_polled_at is None:
            return None
        return max((now - row.last_polled_at).total_seconds(), 0.0)

    def together(
        self, answers: Sequence[Answer[PollState]]
    ) -> Iterator[Sequence[Answer[PollState]]]:
        """Each device once: a second source of it is stored after the first."""
        left = list(answers)
        while left:
            first = {one.source.device_id: one for one in reversed(left)}
            yield list(first.values())
            left = [one for one in left if first[one.source.device_id] is not one]

    def store(self, answers: Sequence[Answer[PollState]], now: datetime) -> int:
        """See `Errand`."""
        with transaction.atomic():
            held = _held(answers)
            findings = [_examined(one, now) for one in held]
            rules = [
                field_rules(one.source, found.waiting if found else None)
                for one, found in zip(held, findings, strict=True)
            ]
            deliveries = [
                _delivery(one, rule, Origin.LIVE, found)
                for one, rule, found in zip(held, rules, findings, strict=True)
            ]
            ingested = iter(ingest_all([one for one in deliveries if one is not None], now))
            settle_polls(
                [
                    Poll(one.row, one.asked, rule.problems, next(ingested) if delivery else None)
                    for one, rule, delivery in zip(held, rules, deliveries, strict=True)
                ],
                now,
            )
            record([one for one in findings if one is not None], now)
        return len(held)


@dataclass(frozen=True, slots=True)
class Filling:
    """Pages of gaps. A page is large, and each is stored by itself.

    `going_on`: a gap stays leased until all of it is read.
    """

    going_on: bool = False
    lane = Lane.BACKFILL

    def rows(self) -> models.QuerySet[Gap]:
        """See `Errand`."""
        return Gap.objects.all()

    def load(self, claims: Sequence[Claim]) -> dict[int, Gap]:
        """See `Errand`."""
        return load_gaps(claims)

    def window(self, row: Gap, now: datetime) -> Window:
        """See `Errand`."""
        return gaps.page_window(row)

    def failed_ago_s(self, row: Gap, now: datetime) -> float | None:
        """Pages are fetched of sources that answer."""
        return None

    def together(self, answers: Sequence[Answer[Gap]]) -> Iterator[Sequence[Answer[Gap]]]:
        """Each by itself."""
        for one in answers:
            yield [one]

    def store(self, answers: Sequence[Answer[Gap]], now: datetime) -> int:
        """See `Errand`; raises LeaseLost for a page whose gap somebody else holds."""
        with transaction.atomic():
            for one in answers:
                self._store(one, now)
        return len(answers)

    def _store(self, one: Answer[Gap], now: datetime) -> None:
        rules = field_rules(one.source)
        failing = [each for each in rules.problems if each.state is SourceState.FAILING]
        if one.asked.fetched is not None and failing:
            # Stored now, the page would lack for good what a mapping that fails leaves out.
            asked = replace(one.asked, fetched=None, message=failing[0].text)
            one = replace(one, asked=asked)
        delivery = _delivery(one, rules, Origin.BACKFILL)
        ingested = ingest(delivery, now) if delivery else None
        # After the readings, as everybody takes these two: a live poll may hold the gap's row next.
        asked = one.asked
        gaps.settle_page(
            one.claim,
            one.row,
            asked.fetched,
            asked.message,
            now,
            asked.kind,
            keep=self.going_on,
        )
        insert_rows(PollLog, [log_row(one.source, Lane.BACKFILL, asked, ingested, now)])


def log_defect(source: Source, lane: Lane, asked: Asked, now: datetime) -> None:
    """Where people look for why nothing arrives, after a defect of our own."""
    insert_rows(PollLog, [log_row(source, lane, asked, None, now)])


def _held(answers: Sequence[Answer[PollState]]) -> list[Answer[PollState]]:
    """Answers whose lease still stands, their rows locked until the transaction ends.

    In the order of keys, so that two workers never wait for each other.
    """
    keys = [one.row.source_id for one in answers]
    columns = ("source_id", "claim_token")
    rows = read_values(PollState, columns, "source_id", keys, lock=True)
    tokens = dict(rows)
    held = [one for one in answers if tokens.get(one.row.pk) == one.claim.token]
    for one in answers:
        if tokens.get(one.row.pk) != one.claim.token:
            log.debug("lease_lost", source=one.source.pk)
    return held


def _examined(answer: Answer[PollState], now: datetime) -> Findings | None:
    """What the answer says about changed fields; None when there was none to read."""
    fetched = answer.asked.fetched
    return examine(answer.row, fetched, now) if fetched is not None else None


def _delivery(
    answer: Answer[PollState] | Answer[Gap],
    rules: Rules,
    origin: Origin,
    findings: Findings | None = None,
) -> Delivery | None:
    """What is to be ingested; None when the source gave no rows to read."""
    fetched = answer.asked.fetched
    if fetched is None:
        return None
    entries = fetched.entries
    if findings is not None and findings.released is not None:
        entries = [*released(findings, answer.source, entries), *entries]
    return Delivery(answer.source, rules.usable, entries, fetched.refusals, origin)
