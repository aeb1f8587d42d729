"""A channel whose entries were received, and jobs carried out on a clock moved by hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from devices.jobs import work_on_jobs
from devices.models import FieldMapping, Job, Metric, Source, ThingSpeakChannel
from devices.readings.samples import HistoryRequest, Origin, Reading, Value
from devices.readings.store import get_store
from devices.tests.scene import Village
from ingestion.entries import Entry
from ingestion.pipeline import Delivery, ingest
from ingestion.recalculation import request
from ingestion.rules import field_rules

START = datetime(2026, 11, 1, tzinfo=UTC)
LONG_AGO, FAR = datetime(1990, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)


@dataclass
class Scene:
    """A village's tank; each entry is a minute after the other."""

    village: Village = field(default_factory=lambda: Village.make("Hill", 101))
    now: datetime = START + timedelta(days=10)

    @property
    def channel(self) -> ThingSpeakChannel:
        return self.village.channel

    @property
    def mapping(self) -> FieldMapping:
        return self.village.mapping

    @property
    def level(self) -> Metric:
        return self.village.metric

    def add(self, name: str, **mapping: Any) -> Metric:
        """One more metric of the tank, fed by the channel if a field is named."""
        metric = Metric.objects.create(device=self.village.device, name=name, label=name)
        if mapping:
            FieldMapping.objects.create(source=self.channel, metric=metric, **mapping)
        return metric

    def receive(
        self, rows: Sequence[Any], first: int = 0, origin: Origin = Origin.LIVE, **more: Any
    ) -> None:
        """Take in entries, whose field1 (or all fields) are given, by the present mappings."""
        source = Source.objects.get(pk=more.get("source", self.channel).pk)
        entries = [
            Entry(self.at(n), n, row if isinstance(row, dict) else {"field1": row})
            for n, row in enumerate(rows, start=first)
        ]
        rules = field_rules(source).usable
        ingest(Delivery(source, rules, entries, (), origin), self.now)

    def at(self, number: int) -> datetime:
        return START + timedelta(minutes=number)

    def correct(self, **changes: Any) -> None:
        """Edit the mapping."""
        for name, value in changes.items():
            setattr(self.mapping, name, value)
        self.mapping.save()

    def ask(self, since: datetime | None = None, until: datetime | None = None) -> Job:
        return request(self.channel, since, until, None, "Corrected.", self.now)

    def work(self, seconds: float = 600) -> int:
        """Let the worker work on jobs; a second passes with each look at the clock."""
        return work_on_jobs(self._clock, timedelta(seconds=seconds))

    def _clock(self) -> datetime:
        self.now += timedelta(seconds=1)
        return self.now

    def recalculate(self, since: datetime | None = None, until: datetime | None = None) -> Job:
        """Ask and carry out."""
        job = self.ask(since, until)
        self.work()
        job.refresh_from_db()
        assert job.state == "done", job.message
        return job

    def readings(self, metric: Metric | None = None) -> list[Reading]:
        wanted = (metric or self.level).pk
        return list(get_store().history(HistoryRequest(wanted, LONG_AGO, FAR, limit=100_000)))

    def values(self, metric: Metric | None = None) -> list[Value]:
        return [one.value for one in self.readings(metric)]
