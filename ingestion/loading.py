"""What a worker needs to know for its claims, in a number of queries that never grows with them."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Prefetch

from devices.models import FieldMapping, Source, ThingSpeakChannel
from ingestion.claims import Claim
from ingestion.drift.waiting import prefetches
from ingestion.models import Gap, PollState


def load_polls(claims: Sequence[Claim]) -> dict[int, PollState]:
    """The poll states of the claims, with everything that a poll needs to know."""
    states = PollState.objects.in_bulk([one.pk for one in claims])
    sources = _sources(states)
    for pk, state in states.items():
        state.source = sources[pk]
    return states


def load_gaps(claims: Sequence[Claim]) -> dict[int, Gap]:
    """The gaps of the claims, with everything that a page needs to know."""
    gaps = Gap.objects.in_bulk([one.pk for one in claims])
    sources = _sources({gap.source_id for gap in gaps.values()})
    for gap in gaps.values():
        gap.source = sources[gap.source_id]
    return gaps


def _sources(pks: Sequence[int] | set[int] | dict[int, PollState]) -> dict[int, Source]:
    """Sources with account, device, type, community and mappings; what they share is loaded once.

    As their concrete kind: its table is joined, so that no second query asks for it.
    """
    mapped = FieldMapping.objects.select_related("metric").prefetch_related("calibrations")
    mappings = Prefetch("mappings", mapped)
    rows = ThingSpeakChannel.objects.filter(pk__in=list(pks))
    shared = ("connection", "device__type", "device__community")
    loaded = rows.prefetch_related(*shared, mappings, *prefetches())
    return {row.pk: row for row in loaded}
