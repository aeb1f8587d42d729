"""Which entries of a source wait for a decision, mapping by mapping."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Prefetch

from devices.models import FieldMapping, Source
from devices.phrases import both
from ingestion.derived import derived
from ingestion.models import FormerField, MappingPause, Resolution
from ingestion.normalise import Stretch

_ADVICE = (
    "Nothing is stored for {metrics} until somebody has looked: open the channel's page and press "
    "the button that fits. What arrives meanwhile is kept and stored afterwards."
)


@dataclass(frozen=True, slots=True)
class Waiting:
    """Pauses that count, and fields under suspicion with the time of the first suspicious entry."""

    pauses: Sequence[MappingPause] = ()
    suspected: Mapping[str, datetime] | None = None
    former: Sequence[FormerField] = ()

    @staticmethod
    def of(source: Source) -> Waiting:
        """As it is stored, the same object for a source that is kept; reads what is not there."""
        return _stored(source)

    def told(self, mappings: Iterable[FieldMapping]) -> str:
        """Why mappings store nothing at present, in words, and what to do; empty when all do."""
        held = [
            (mapping.metric.label, one.text)
            for mapping in mappings
            for one in self.pauses
            if one.mapping_id == mapping.pk and one.holds
        ]
        if not held:
            return ""
        labels = list(dict.fromkeys(label for label, _ in held))
        return " ".join([*(text for _, text in held), _ADVICE.format(metrics=both(labels))])

    def stretches(self, mapping: FieldMapping, field: str) -> Iterator[Stretch]:
        """When entries of a field wait instead of being stored through the mapping."""
        for pause in self.pauses:
            if pause.mapping_id == mapping.pk:
                yield pause.stretch
        if self.suspected and field in self.suspected:
            yield self.suspected[field], None

    def fields(self, mapping: FieldMapping) -> Iterator[tuple[str, tuple[Stretch, ...]]]:
        """The fields that the mapping reads, each with the stretches in which it does not."""
        since: datetime | None = None
        for former in sorted(self.former, key=lambda one: one.until):
            if former.mapping_id == mapping.pk:
                yield former.field, (*_before(since), (former.until, None))
                since = former.until
        yield mapping.field, _before(since)


@derived
def _stored(source: Source) -> Waiting:
    return Waiting(
        [one for one in source.mapping_pauses.all() if _counts(one)],
        suspected_since(source),
        list(source.former_fields.all()),
    )


def prefetches() -> list[str | Prefetch[str, Any, str]]:
    """What to load with many sources, in one query each."""
    pauses = Prefetch("mapping_pauses", queryset=MappingPause.objects.effective())
    return [pauses, "field_profiles", "former_fields"]


def suspected_since(source: Source) -> dict[str, datetime]:
    """Fields under suspicion, with the time of their first suspicious entry (aware UTC)."""
    return {
        one.field: datetime.fromisoformat(one.suspicion["held"][0]["at"])
        for one in source.field_profiles.all()
        if one.suspicion
    }


def _before(since: datetime | None) -> tuple[Stretch, ...]:
    return () if since is None else ((None, since),)


def _counts(pause: MappingPause) -> bool:
    return pause.resolved_at is None or pause.resolution == Resolution.LEFT_OUT
