"""When a recalculation may begin: not before polls that know only older settings have ended.

Whatever was claimed before the job was first seen may have read the settings before they changed,
and may store by them until its lease ends; without a lease it stores nothing. Whatever is claimed
later reads them as they are now.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from devices.models import Job
from ingestion.models import Gap, PollState
from ingestion.recalculation.asking import earlier

_POLLS = "polls"
Claim = Sequence[Any]
"""Which table («state» or «gap»), key, fencing token."""


def has_begun(job: Job) -> bool:
    """Whether a first page is done."""
    return bool(job.cursor.keys() - {_POLLS})


def why_waiting(job: Job, source: int, now: datetime) -> tuple[str, Mapping[str, Any]]:
    """Why the job cannot begin yet (empty: it can), and the cursor that remembers for whom."""
    if earlier(job):
        return "Waits for an earlier recalculation of the same source.", {}
    held = _held(source, now)
    known: Sequence[Claim] = job.cursor.get(_POLLS, held)
    waiting = [claim for claim in known if claim in held]
    if not waiting:
        return "", {}
    return "Waits for a poll that began before the change.", {_POLLS: waiting}


def _held(source: int, now: datetime) -> list[Claim]:
    """The leases that are held on the source now."""
    polled = PollState.objects.filter(pk=source, lease_until__gt=now)
    filled = Gap.objects.filter(source=source, lease_until__gt=now)
    return [
        *(["state", *row] for row in polled.values_list("pk", "claim_token")),
        *(["gap", *row] for row in filled.values_list("pk", "claim_token")),
    ]
