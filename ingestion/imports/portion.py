"""What of a portion of rows is new here: normalised by the source's rules, compared with the store.

A reading that is stored already is left alone. One that is stored with another value is replaced
only when the person said so: a file that went through a spreadsheet must not overwrite what the
device itself reported.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from devices.models import Source
from devices.readings.instants import to_millisecond
from devices.readings.models import KeptFrom
from devices.readings.samples import HistoryRequest, Origin, Value
from devices.readings.store import get_store
from ingestion.entries import Entry, Refusal
from ingestion.imports.csv_export import Row
from ingestion.imports.tally import Tally
from ingestion.normalise import normalise
from ingestion.pipeline import Delivery
from ingestion.rules import Rules, field_rules

_PAGE = 5000
_MILLISECOND = timedelta(milliseconds=1)

Key = tuple[datetime, int]
Stored = dict[int, dict[Key, Value]]


@dataclass(frozen=True)
class Target:
    """Where entries go, by which rules, and whether differing readings are replaced."""

    source: Source
    replace: bool = False
    rules: Rules = field(init=False)
    fed: Mapping[str, Sequence[int]] = field(init=False)
    """Metrics by the field that feeds them."""
    kept_from: datetime | None = field(init=False)
    """Readings before this were dropped for their age and are not taken again."""

    def __post_init__(self) -> None:
        """Read the rules once for the whole portion."""
        rules = field_rules(self.source)
        fed: dict[str, list[int]] = defaultdict(list)
        for rule in rules.usable:
            fed[rule.field].append(rule.metric)
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "fed", fed)
        rows = KeptFrom.objects.filter(device=self.source.device_id)
        kept = rows.values_list("readings_from", flat=True).first()
        object.__setattr__(self, "kept_from", kept)


def judge(rows: Sequence[Row], target: Target, tally: Tally, now: datetime) -> Delivery:
    """Count the rows into `tally`; returns what an import would store of them. Stores nothing."""
    for row in rows:
        tally.row(row)
    refusals: list[Refusal] = [one for row in rows for one in row.refusals]
    stored = _stored(target, [row.entry for row in rows if row.entry is not None])
    fresh = []
    for row in rows:
        if row.entry is None:
            continue
        entry = _judge(row.number, row.entry, target, tally, stored, now)
        if entry is not None:
            fresh.append(entry)
    return Delivery(target.source, target.rules.usable, fresh, refusals, Origin.BACKFILL)


def _judge(
    number: int, entry: Entry, target: Target, tally: Tally, stored: Stored, now: datetime
) -> Entry | None:
    """What is left of an entry after what is settled already; None when nothing is."""
    result = normalise(entry, target.rules.usable, now)
    for refusal in result.refusals:
        tally.refusal(number, refusal)
    if any(refusal.field is None for refusal in result.refusals):
        return entry
    expired = target.kept_from is not None and entry.at < target.kept_from
    key = (to_millisecond(entry.at), entry.sequence)
    settled = set()
    for metric, value in result.values.items():
        if not isinstance(value, bool | str):
            tally.number(metric, value)
        if expired:
            tally.expired += 1
        elif _is_settled(key, metric, value, target, tally, stored):
            settled.add(metric)
    tally.unmapped += not result.values and not result.refusals
    left = {
        name: raw
        for name, raw in entry.fields.items()
        if not (metrics := target.fed.get(name)) or not settled.issuperset(metrics)
    }
    if settled and not left:
        return None
    return Entry(entry.at, entry.sequence, left)


def _is_settled(
    key: Key, metric: int, value: Value, target: Target, tally: Tally, stored: Stored
) -> bool:
    """Whether nothing is to be written for this reading."""
    known = stored[metric].get(key)
    if known is None:
        tally.new += 1
        stored[metric][key] = value  # the file may hold the row twice
        return False
    if known == value and isinstance(known, bool) == isinstance(value, bool):
        tally.same += 1
        return True
    tally.difference(key[0], metric, known, value)
    return not target.replace


def _stored(target: Target, entries: Iterable[Entry]) -> Stored:
    """What the store holds of the target's metrics in the time that the entries span."""
    times = [entry.at for entry in entries]
    if not times:
        return {rule.metric: {} for rule in target.rules.usable}
    since, until = to_millisecond(min(times)), max(times) + _MILLISECOND
    return {rule.metric: _history(rule.metric, since, until) for rule in target.rules.usable}


def _history(metric: int, since: datetime, until: datetime) -> dict[Key, Value]:
    found: dict[Key, Value] = {}
    after = None
    while True:
        request = HistoryRequest(metric, since, until, limit=_PAGE, after=after)
        page = get_store().history(request)
        found.update({(one.at, one.sequence): one.value for one in page})
        if len(page) < _PAGE:
            return found
        after = (page[-1].at, page[-1].sequence)
