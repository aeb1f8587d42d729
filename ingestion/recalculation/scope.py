"""What a recalculation of a source may touch, by the configuration of this moment."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

from devices.models import FieldMapping, Metric, Source
from devices.readings.samples import ReceivedRequest
from devices.readings.store import get_store
from ingestion.rules import Rules, field_rules

Identity = tuple[datetime, int]


@dataclass(frozen=True)
class Scope:
    """A source with its mappings loaded, and what they are made of."""

    source: Source
    rules: Rules
    metrics: frozenset[int]
    """Every metric of the device."""
    watched: frozenset[int]
    """Metrics that the source feeds or once fed: values nobody computes any more have to go.

    Not those whose mapping is held back (paused or unable to work): theirs stay as they are.
    """

    @classmethod
    def of(cls, source: Source) -> Scope:
        """Read the configuration; `source` comes with its mappings and their metrics."""
        rules = field_rules(source)
        usable = {rule.metric for rule in rules.usable}
        enabled = {one.metric_id for one in source.mappings.all() if one.enabled}
        metrics = frozenset(
            Metric.objects.filter(device=source.device_id).values_list("pk", flat=True)
        )
        fed = _once_fed(source) | enabled
        return cls(source, rules, metrics, metrics & fed - (enabled - usable))

    @cached_property
    def held_back(self) -> list[str]:
        """Why mappings were left out, in words."""
        return [problem.text for problem in self.rules.problems]

    @cached_property
    def _shared(self) -> Mapping[int, set[int]]:
        """Other sources of the device, each with watched metrics that it feeds as well."""
        shared: dict[int, set[int]] = {}
        others = FieldMapping.objects.filter(enabled=True, metric__in=self.watched)
        for source, metric in others.exclude(source=self.source).values_list("source", "metric"):
            shared.setdefault(source, set()).add(metric)
        return shared

    def not_ours(self, page: Collection[Identity]) -> set[tuple[int, Identity]]:
        """Metrics and identities of a page (in order) that another source speaks for as well."""
        if not self._shared or not page:
            return set()
        instants = [at for at, _ in page]
        found = set()
        for source, metrics in self._shared.items():
            for identity in _identities(source, min(instants), max(instants)):
                found |= {(metric, identity) for metric in metrics}
        return found


def _once_fed(source: Source) -> set[int]:
    """Metrics that mappings of the source feed or fed at any time, also deleted mappings."""
    history = FieldMapping.history.filter(source_id=source.pk)
    now = {mapping.metric_id for mapping in source.mappings.all()}
    return now | set(history.values_list("metric_id", flat=True))


def _identities(source: int, first: datetime, last: datetime) -> list[Identity]:
    """Of the entries received from a source in [first, last]."""
    found: list[Identity] = []
    after: Identity | None = (first, -1)
    while after is not None:
        page = get_store().received(ReceivedRequest(source, since=first, after=after))
        ours = [(one.at, one.sequence) for one in page if one.at <= last]
        found += ours
        after = ours[-1] if ours and len(ours) == len(page) else None
    return found
