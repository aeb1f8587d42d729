"""What a worker does with its claims: ask, ingest, settle; no source harms another."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TypeVar

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from ingestion.claiming import SLOT_PATIENCE_S
from ingestion.claims import Claim, LeaseLost
from ingestion.dispatch import DEADLINE_S, give_back, next_pages
from ingestion.errands import Answer, Errand, Filling, Polling, Row, log_defect
from ingestion.models import Gap
from ingestion.patience import DatabaseAway, insist
from ingestion.polling import Asked, Equipment, Inquiry, ask_all
from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.gate import GateUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

GO_ON_S = 5.0

_OUT_OF_TIME = "out of time"
_OUR_DEFECT = Asked(
    Kind.OURS,
    Outcome.OUR_ERROR,
    "The site itself failed while reading or storing; nothing of this answer was stored, and it is "
    "asked again by itself. The worker's log says why: look for poll_failed.",
)


class _Ending:
    """Whether this process carries its batches out whole; said when that changes."""

    def __init__(self) -> None:
        self._why: str | None = None

    def tell(self, given_back: int, why: str) -> None:
        """How a batch ended: with so many claims given back, for a reason."""
        if given_back and why != self._why:
            log.warning("batch_ended_early", given_back=given_back, reason=why)
        elif not given_back and self._why is not None:
            log.info("batches_end_well_again")
        self._why = why if given_back else None


_ending = _Ending()


@dataclass(frozen=True, slots=True)
class Worker:
    """What polling needs from outside: the way to ask, and the clock (both injected in tests).

    `go_on_s`: so long it reads page after page; then others have their turn, and it may be stopped.
    """

    equipment: Equipment
    now: Callable[[], datetime] = timezone.now
    go_on_s: float = GO_ON_S

    def poll(self, claims: Sequence[Claim]) -> int:
        """Poll claimed sources, each at its slot; returns how many polls were settled."""
        return self._carry_out(claims, Polling(), self._clock() + DEADLINE_S)

    def fill(self, claims: Sequence[Claim]) -> int:
        """Fetch one page of each claimed gap, and go on for a while with what is next.

        Returns how many pages were settled.
        """
        start, settled = self._clock(), 0
        while claims:
            going_on = self._clock() < start + self.go_on_s
            settled += self._carry_out(claims, Filling(going_on), start + DEADLINE_S)
            claims = self._next_pages(claims, start + DEADLINE_S) if going_on else []
        return settled

    def _next_pages(self, held: Sequence[Claim], until: float) -> list[Claim]:
        """What there is to go on with: nothing without the gate, or while the database is away."""
        try:
            return self._insist(lambda: next_pages(held, self.now, self.equipment.gate), until)
        except GateUnavailable:  # the next tick meets it as well, and tells
            give_back(Gap.objects.all(), held)
        except DatabaseAway:
            pass  # it was told; leases expire
        return []

    def _carry_out(self, claims: Sequence[Claim], errand: Errand[Row], until: float) -> int:
        """Ask for all claims at once, and store what comes as it comes, `until` (our clock).

        What could not be asked or stored in time, or without the gate, is given back.
        """
        rows = self._insist(lambda: errand.load(claims), until)
        # A row may be deleted, or claimed anew because this message came too late.
        ours = {
            one.pk: one
            for one in claims
            if one.pk in rows and rows[one.pk].claim_token == one.token
        }
        settled, why = 0, _OUT_OF_TIME
        try:
            for group in ask_all(self._inquiries(ours, rows, errand), self.equipment, until):
                answers = [Answer(ours[pk], rows[pk], asked) for pk, asked in group]
                settled += self._store(answers, errand, until)
                for one in answers:
                    del ours[one.claim.pk]
        except (GateUnavailable, DatabaseAway) as error:
            why = str(error)
        _ending.tell(len(ours), why)
        if ours:
            # Without a database the leases have to expire.
            with suppress(DatabaseError):
                give_back(errand.rows(), list(ours.values()))
        return settled

    def _inquiries(
        self, claims: Mapping[int, Claim], rows: Mapping[int, Row], errand: Errand[Row]
    ) -> list[Inquiry]:
        now, slots = self.now(), self._slots(list(claims.values()))
        return [
            Inquiry(
                pk,
                rows[pk].source,
                errand.window(rows[pk], now),
                slots[pk],
                SLOT_PATIENCE_S,
                errand.failed_ago_s(rows[pk], now),
            )
            for pk in claims
        ]

    def _insist(self, act: Callable[[], T], until: float) -> T:
        return insist(act, until, self.equipment.time)

    def _clock(self) -> float:
        return self.equipment.time.clock()

    def _slots(self, claims: Sequence[Claim]) -> dict[int, float]:
        """When the claims' slots begin, on the clock that the client goes by.

        Slots are in the gate's time: no machine's own clock spaces requests.
        """
        offset = self._clock() - self.equipment.gate.now()
        return {one.pk: one.not_before + offset for one in claims}

    def _store(self, answers: Sequence[Answer[Row]], errand: Errand[Row], until: float) -> int:
        """Store answers together; if that fails, one by one, so that a bad one harms no other.

        Raises DatabaseAway when the database stays away: that is no answer's fault.
        """
        settled = 0
        sound = [one for one in answers if one.asked.defect is None]
        for one in answers:
            if one.asked.defect is not None:
                self._tell_defect(one, errand, one.asked.defect)
        for part in errand.together(sound):
            try:
                settled += self._insist(partial(errand.store, part, self.now()), until)
                continue
            except DatabaseAway:
                raise
            except Exception as error:
                problem = error
            if len(part) == 1:
                self._refuse(part[0], errand, problem)
            else:
                settled += sum(self._store([one], errand, until) for one in part)
        return settled

    def _refuse(self, answer: Answer[Row], errand: Errand[Row], error: Exception) -> None:
        if isinstance(error, LeaseLost):
            log.debug("lease_lost", source=answer.source.pk)
        else:
            self._tell_defect(answer, errand, error)

    def _tell_defect(self, answer: Answer[Row], errand: Errand[Row], error: Exception) -> None:
        """Log what went wrong with one answer, where people and operators look.

        The lease is left to expire: the source is due again, and nothing was half stored.
        """
        log.error("poll_failed", source=answer.source.pk, exc_info=error)
        # Without a database there is no such place.
        with suppress(DatabaseError), transaction.atomic():
            log_defect(answer.source, errand.lane, _OUR_DEFECT, self.now())
