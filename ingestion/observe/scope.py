"""A snapshot for those who look: kept for a moment, and cut to what each of them may see."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from django.conf import settings

from devices.access import Viewer, sees_everything
from devices.models import Membership
from ingestion.observe.facts import JobLine, Line
from ingestion.observe.snapshot import Account, Moving, Now


class Kept:
    """The newest snapshot of this process: many viewers, and one who collects at a time.

    Kept for `settings.INGESTION_STATUS_KEEP_S`, and for ten times as long as collecting took: on a
    huge site the page grows a little older instead of costing more than a tenth of a processor.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._until = 0.0
        self._now: Now | None = None

    def get(self, collect: Callable[[], Now]) -> Now:
        """The kept snapshot, or a new one."""
        with self._lock:
            began = self._clock()
            if self._now is None or began >= self._until:
                self._now = collect()
                ended = self._clock()
                keep_s = settings.INGESTION_STATUS_KEEP_S
                self._until = ended + (max(keep_s, 10 * (ended - began)) if keep_s else 0.0)
            return self._now


@dataclass(frozen=True, slots=True)
class Seen:
    """A snapshot as one person may see it.

    `shared`: accounts of nobody's community that feed the person's devices. The administrator's
    are their numbers; that they are down concerns everybody whom it affects, as alerts do.
    """

    at: datetime
    moving: Moving
    accounts: tuple[Account, ...]
    shared: tuple[Account, ...]
    jobs: tuple[JobLine, ...]
    everything: bool


def seen_by(user: Viewer, now: Now) -> Seen:
    """The snapshot cut to what the user may see. One query, none for the administrator."""
    if sees_everything(user):
        return Seen(now.at, now.moving, now.accounts, (), now.jobs, everything=True)
    mine = frozenset[int]()
    if user.is_authenticated and user.is_active:
        rows = Membership.objects.filter(user=user).values_list("community", flat=True)
        mine = frozenset(rows)
    return Seen(
        at=now.at,
        moving=now.moving,
        accounts=tuple(_cut(one, mine) for one in now.accounts if one.community in mine),
        shared=tuple(
            one for one in now.accounts if one.community is None and one.communities & mine
        ),
        jobs=tuple(one for one in now.jobs if one.community in mine),
        everything=False,
    )


def _cut(account: Account, mine: frozenset[int]) -> Account:
    """Without what names devices of other communities that use this account."""

    def own(lines: Sequence[Line]) -> tuple[Line, ...]:
        return tuple(one for one in lines if one.community in mine)

    return replace(
        account,
        failing=own(account.failing),
        events=own(account.events),
        gaps=replace(account.gaps, lines=own(account.gaps.lines)),
    )
