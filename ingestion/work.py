"""What a worker does with its claims: ask, ingest, settle; no source harms another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

import structlog
from django.db import DatabaseError, transaction
from django.utils import timezone

from ingestion.claims import Claim, LeaseLost
from ingestion.dispatch import DEADLINE_S, give_back
from ingestion.errands import Answer, Errand, Filling, Polling, Row, log_defect
from ingestion.polling import Asked, Equipment, Inquiry, ask_all
from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.gate import GateUnavailable

log = structlog.get_logger(__name__)

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

    def poll(self, claims: Sequence[Claim]) -> int:
        """Poll claimed sources, each at its slot; returns how many polls were settled."""
        return self._carry_out(claims, Polling())

    def fill(self, claims: Sequence[Claim]) -> int:
        """Fetch one page of each claimed gap; returns how many pages were settled."""
        return self._carry_out(claims, Filling())

    def _carry_out(self, claims: Sequence[Claim], errand: Errand[Row]) -> int:
        """Ask for all claims at once and store what comes as it comes.

        What could not be asked in time, or without the gate, is given back.
        """
        rows = errand.load(claims)
        # A row may be deleted, or claimed anew because this message came too late.
        ours = {
            one.pk: one
            for one in claims
            if one.pk in rows and rows[one.pk].claim_token == one.token
        }
        now = self.now()
        settled, why = 0, "out of time"
        try:
            slots = self._slots(list(ours.values()))
            inquiries = [
                Inquiry(
                    pk, rows[pk].source, errand.window(rows[pk], now), slots[pk], SLOT_PATIENCE_S
                )
                for pk in ours
            ]
            for group in ask_all(inquiries, self.equipment, self._clock() + DEADLINE_S):
                answers = [Answer(ours.pop(pk), rows[pk], asked) for pk, asked in group]
                settled += self._store(answers, errand)
        except GateUnavailable as error:
            why = str(error)
        if ours:
            give_back(errand.rows(), list(ours.values()))
            log.warning("batch_ended_early", given_back=len(ours), reason=why)
        return settled

    def _clock(self) -> float:
        return self.equipment.time.clock()

    def _slots(self, claims: Sequence[Claim]) -> dict[int, float]:
        """When the claims' slots begin, on the clock that the client goes by.

        Slots are in the gate's time: no machine's own clock spaces requests.
        """
        offset = self._clock() - self.equipment.gate.now()
        return {one.pk: one.not_before + offset for one in claims}

    def _store(self, answers: Sequence[Answer[Row]], errand: Errand[Row]) -> int:
        """Store answers together; if that fails, one by one, so that a bad one harms no other."""
        settled = 0
        sound = [one for one in answers if one.asked.defect is None]
        for one in answers:
            if one.asked.defect is not None:
                self._tell_defect(one, errand, one.asked.defect)
        for part in errand.together(sound):
            try:
                settled += errand.store(part, self.now())
                continue
            except Exception as error:
                problem = error
            if len(part) == 1:
                self._refuse(part[0], errand, problem)
            else:
                settled += sum(self._store([one], errand) for one in part)
        return settled

    def _refuse(self, answer: Answer[Row], errand: Errand[Row], error: Exception) -> None:
        if isinstance(error, LeaseLost):
            log.info("lease_lost", source=answer.source.pk)
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
