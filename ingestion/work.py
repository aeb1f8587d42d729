"""What a worker does with its claims: ask, ingest, settle; no source harms another."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from django.db import DatabaseError, models, transaction
from django.utils import timezone

from devices.alerts.state import SourceState
from devices.models import Source
from devices.readings.samples import Origin
from ingestion import gaps
from ingestion.claims import Claim, LeaseLost
from ingestion.dispatch import DEADLINE_S, give_back
from ingestion.drift.examine import examine
from ingestion.drift.record import record, with_released
from ingestion.drift.waiting import prefetches
from ingestion.models import Gap, Lane, PollState
from ingestion.pipeline import Delivery, Ingested, ingest
from ingestion.polling import Asked, Equipment, ask
from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.gate import GateUnavailable
from ingestion.rules import Rules, field_rules
from ingestion.settle import log_poll, settle_poll
from ingestion.sources.base import Window

log = structlog.get_logger(__name__)

Row = TypeVar("Row", PollState, Gap)

# As much jitter as the budget's spacing allows for (`RatePolicy.jitter_allowance_s`).
SLOT_LASTS_S = 1.0
SLOT_PATIENCE_S = 5.0

_OUR_DEFECT = Asked(
    Kind.OURS,
    Outcome.OUR_ERROR,
    "The site itself failed while reading or storing; nothing of this answer was stored, and it is "
    "asked again by itself. The worker's log says why: look for poll_failed.",
)


@dataclass(frozen=True, slots=True)
class Worker:
    """What polling needs from outside: the way to ask, and the clock (both injected in tests)."""

    equipment: Equipment
    now: Callable[[], datetime] = timezone.now
    sleep: Callable[[float], None] = field(default=time.sleep)

    def poll(self, claims: Sequence[Claim]) -> int:
        """Poll claimed sources, each at its slot; returns how many polls were settled."""
        return self._carry_out(claims, PollState.objects.all(), self._poll_one, Lane.LIVE)

    def fill(self, claims: Sequence[Claim]) -> int:
        """Fetch one page of each claimed gap; returns how many pages were settled."""
        return self._carry_out(claims, Gap.objects.all(), self._fill_one, Lane.BACKFILL)

    def _carry_out(
        self,
        claims: Sequence[Claim],
        rows: models.QuerySet[Row],
        step: Callable[[Claim, Row], None],
        lane: Lane,
    ) -> int:
        """Carry out one claim after the other; what cannot be asked now is given back."""
        wanted = rows.filter(pk__in=[one.pk for one in claims])
        loaded = {row.pk: row for row in _with_configuration(wanted)}
        ends = self.now().timestamp() + DEADLINE_S
        settled = 0
        for place, claim in enumerate(claims):
            if self.now().timestamp() > ends:
                _end_early(rows, claims[place:], "out of time")
                break
            row = loaded.get(claim.pk)
            if row is None or row.claim_token != claim.token:
                continue  # deleted, or claimed anew because this message came too late
            self._wait_for(claim)
            try:
                settled += self._safely(partial(step, claim, row), row.source, lane)
            except GateUnavailable as error:
                _end_early(rows, claims[place:], str(error))
                break
        return settled

    def _wait_for(self, claim: Claim) -> None:
        """Start no sooner than the booked slot: within a tick, the budget is evenly spaced."""
        ahead = claim.not_before - self.now().timestamp()
        if ahead > 0:
            self.sleep(ahead)

    def _ask(self, claim: Claim, source: Source, window: Window) -> Asked:
        """Ask in the booked slot; whoever comes too late for it books another one.

        Slots that were missed while messages waited, all used at once, would be a crowd.
        """
        late = self.now().timestamp() - claim.not_before > SLOT_LASTS_S
        patience_s = SLOT_PATIENCE_S if late else 0.0
        return ask(source, window, self.equipment, reserved=not late, max_wait_s=patience_s)

    def _safely(self, step: Callable[[], None], source: Source, lane: Lane) -> bool:
        """Carry out one step; whatever goes wrong is logged and harms no other source.

        The lease is left to expire: the source is due again, and nothing was half stored. Only
        GateUnavailable is raised: without the gate, no other source may be asked either.
        """
        try:
            step()
        except GateUnavailable:
            raise
        except LeaseLost:
            log.info("lease_lost", source=source.pk)
            return False
        except Exception:
            log.exception("poll_failed", source=source.pk)
            # Where people look for why nothing arrives; without a database there is no such place.
            with suppress(DatabaseError), transaction.atomic():
                log_poll(source, lane, _OUR_DEFECT, None, self.now())
            return False
        return True

    def _poll_one(self, claim: Claim, state: PollState) -> None:
        asked = self._ask(claim, state.source, gaps.live_window(state))
        now = self.now()
        findings = examine(state, asked.fetched, now) if asked.fetched else None
        rules = field_rules(state.source, findings.waiting if findings else None)
        if findings and asked.fetched:
            asked = replace(asked, fetched=with_released(state.source, findings, asked.fetched))

        def settle(ingested: Ingested | None) -> None:
            settle_poll(claim, state, asked, rules.problems, ingested, now)
            if findings:
                record([findings], now)

        _store(state.source, asked, rules, Origin.LIVE, now, settle)

    def _fill_one(self, claim: Claim, gap: Gap) -> None:
        asked = self._ask(claim, gap.source, gaps.page_window(gap))
        now = self.now()
        rules = field_rules(gap.source)
        failing = [one for one in rules.problems if one.state is SourceState.FAILING]
        if asked.fetched is not None and failing:
            # Stored now, the page would lack for good what a mapping that fails leaves out.
            asked = replace(asked, fetched=None, message=failing[0].text)

        def settle(ingested: Ingested | None) -> None:
            gaps.settle_page(claim, gap, asked.fetched, asked.message, now)
            log_poll(gap.source, Lane.BACKFILL, asked, ingested, now)

        _store(gap.source, asked, rules, Origin.BACKFILL, now, settle)


def _store(
    source: Source,
    asked: Asked,
    rules: Rules,
    origin: Origin,
    now: datetime,
    settle: Callable[[Ingested | None], None],
) -> None:
    """Ingest what was fetched, or settle that there was nothing to read; one transaction."""
    if asked.fetched is None:
        with transaction.atomic():
            settle(None)
        return
    fetched = asked.fetched
    ingest(Delivery(source, rules.usable, fetched.entries, fetched.refusals, origin), now, settle)


def _end_early(rows: models.QuerySet[Row], claims: Sequence[Claim], why: str) -> None:
    give_back(rows, claims)
    log.warning("batch_ended_early", given_back=len(claims), reason=why)


def _with_configuration(rows: models.QuerySet[Row]) -> models.QuerySet[Row]:
    """Everything a poll needs in a few queries, whatever the number of claims."""
    return rows.select_related(
        "source__connection", "source__device__type", "source__thingspeakchannel__connection"
    ).prefetch_related("source__mappings__metric", "source__mappings__calibrations", *prefetches())
