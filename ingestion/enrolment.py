"""Keeps what a claim needs beside the schedule in step with what people configure.

A claim reads one table. Account, switches and priority class are therefore repeated in the poll
state: set when configuration is saved, and put right every minute should anything have passed by
the models (`reconcile`). Nothing wrong is ever polled meanwhile: a claim looks again before it
leases (`claiming.lease`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from django.db import connection, transaction
from django.db.models import (
    BooleanField,
    Case,
    ExpressionWrapper,
    F,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.functions import Coalesce, Greatest
from django.db.models.signals import post_save
from django.utils import timezone

from devices.alerts.models import Alert, Kind, Severity
from devices.models import Device, DeviceType, Source
from ingestion.derived import derived
from ingestion.models import PollState
from ingestion.models.poll_state import BY_HAND
from ingestion.rules import route_of
from ingestion.schedule import first_due

# Rows are written in portions that every database takes in one statement.
PORTION = 500

_SWITCHED_ON = ExpressionWrapper(Q(enabled=True, device__enabled=True), output_field=BooleanField())
_ENDS = (
    "SELECT (SELECT max(id) FROM devices_source), (SELECT max(source_id) FROM ingestion_pollstate)"
)
_CLASS = Coalesce(F("priority"), F("device__type__default_priority"))
_ONE_IF_RAISED = Case(When(raised=True, then=Value(1)), default=Value(0))


def enrol_new(now: datetime) -> int:
    """Give sources that are newer than all enrolled ones their poll state; returns how many.

    One look at the ends of two indexes, every tick. What was enrolled out of order, `reconcile`
    finds.
    """
    with connection.cursor() as cursor:
        cursor.execute(_ENDS)
        ((newest, enrolled),) = cursor.fetchall()
    if newest is None or (enrolled is not None and newest <= enrolled):
        return 0
    return _enrol(Source.objects.filter(pk__gt=enrolled or 0), now)


def enrol(now: datetime, source_ids: Iterable[int] | None = None) -> int:
    """Give every source (of these) without one its poll state; returns how many were new."""
    missing = Source.objects.filter(poll_state__isnull=True)
    if source_ids is not None:
        missing = missing.filter(pk__in=source_ids)
    return _enrol(missing, now)


def _enrol(missing: QuerySet[Source], now: datetime) -> int:
    by_account: dict[int, list[Source]] = defaultdict(list)
    for source in missing.select_related("device__type", "connection"):
        by_account[source.connection_id].append(source)
    for newcomers in by_account.values():
        slot_s = route_of(newcomers[0].connection).rate.interval_s
        states = []
        for place, source in enumerate(newcomers):
            due = first_due(now.timestamp(), place, len(newcomers), slot_s)
            states.append(new_state(source, datetime.fromtimestamp(due, UTC)))
        PollState.objects.bulk_create(states, batch_size=PORTION, ignore_conflicts=True)
    return sum(len(newcomers) for newcomers in by_account.values())


def new_state(source: Source, due: datetime) -> PollState:
    """The poll state of a source that has none, not stored yet."""
    return PollState(
        source=source,
        connection_id=source.connection_id,
        active=source.enabled and source.device.enabled,
        urgency=source.effective_priority,
        next_poll_at=due,
    )


def conform(states: QuerySet[PollState]) -> int:
    """Set account, switches and class as configured; returns how many rows. One statement."""
    own = Source.objects.filter(pk=OuterRef("pk"))
    switched_on = own.annotate(on=_SWITCHED_ON).values("on")
    configured = Subquery(own.annotate(configured=_CLASS).values("configured"))
    return states.update(
        connection_id=Subquery(own.values("connection_id")),
        active=Subquery(switched_on),
        urgency=Greatest(configured - _ONE_IF_RAISED, 0),
    )


def reconcile(now: datetime) -> int:
    """Find what passed by the models and put it right; returns how many rows were not in step."""
    enrol(now)
    configured = Coalesce(F("source__priority"), F("source__device__type__default_priority"))
    astray = PollState.objects.annotate(due_class=Greatest(configured - _ONE_IF_RAISED, 0)).filter(
        ~Q(connection=F("source__connection"))
        | Q(active=True, source__enabled=False)
        | Q(active=True, source__device__enabled=False)
        | Q(active=False, source__enabled=True, source__device__enabled=True)
        | Q(urgency__gt=BY_HAND) & ~Q(urgency=F("due_class"))
    )
    return _conform_all(list(astray.values_list("pk", flat=True)))


def _conform_all(keys: Sequence[int]) -> int:
    """Conform rows in portions; those that somebody writes at the moment wait for the next time."""
    for start in range(0, len(keys), PORTION):
        rows = PollState.objects.filter(pk__in=keys[start : start + PORTION])
        with transaction.atomic():
            held = rows.select_for_update(skip_locked=True).values_list("pk", flat=True)
            conform(PollState.objects.filter(pk__in=list(held)))
    return len(keys)


def align_with_alerts() -> int:
    """Raise sources of devices in alert by one class, lower those that are well; how many."""
    troubled = (
        Alert.objects.open()
        .filter(Q(kind=Kind.DEVICE_OFFLINE) | Q(severity=Severity.CRITICAL), device__isnull=False)
        .values("device")
    )
    raise_ = PollState.objects.filter(raised=False, source__device__in=troubled)
    lower = PollState.objects.filter(raised=True).exclude(source__device__in=troubled)
    return _mark(raise_, raised=True) + _mark(lower, raised=False)


def _mark(states: QuerySet[PollState], *, raised: bool) -> int:
    keys = list(states.values_list("pk", flat=True))
    for start in range(0, len(keys), PORTION):
        PollState.objects.filter(pk__in=keys[start : start + PORTION]).update(raised=raised)
    return _conform_all(keys)


# --- when configuration is saved -----------------------------------------------------------------


def listen() -> None:
    """Follow the configuration, which knows nothing of polling. Never on the way of a reading."""
    post_save.connect(_source_saved, dispatch_uid="enrolment.source")
    post_save.connect(_device_saved, sender=Device, dispatch_uid="enrolment.device")
    post_save.connect(_type_saved, sender=DeviceType, dispatch_uid="enrolment.type")


def _source_saved(instance: Any, created: bool, raw: bool = False, **_: Any) -> None:
    if isinstance(instance, Source) and not (created or raw):
        own = PollState.objects.filter(pk=instance.pk)
        conform(own)
        _bring_forward(own, instance.effective_interval_s)


def _device_saved(instance: Device, created: bool, raw: bool = False, **_: Any) -> None:
    if not (created or raw):
        conform(PollState.objects.filter(source__device=instance))


def _type_saved(instance: DeviceType, created: bool, raw: bool = False, **_: Any) -> None:
    if created or raw:
        return
    own = PollState.objects.filter(source__device__type=instance)
    conform(own)
    _bring_forward(own.filter(source__interval_s=None), instance.default_interval_s)


def _bring_forward(states: QuerySet[PollState], interval_s: int) -> None:
    """A shorter interval counts from now: nobody waits for the end of the long one."""
    soonest = timezone.now() + timedelta(seconds=interval_s)
    states.filter(next_poll_at__gt=soonest).update(next_poll_at=soonest)


def urgency_of(source: Source, state: PollState) -> int:
    """The class a source is claimed in next: as configured, one higher while in alert."""
    return max(_class(source) - (1 if state.raised else 0), 0)


@derived
def _class(source: Source) -> int:
    return int(source.effective_priority)
