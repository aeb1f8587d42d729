"""Confirmed proposals become metrics and field mappings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from django.db import transaction
from django.db.models import Max

from devices.models import Device, FieldMapping, Metric, Source
from ingestion.verify.proposals import KnownMetric, Proposal, data_type_of, mapped_values

MOST_DECIMALS = 3


def metrics_known_to(source: Source) -> list[KnownMetric]:
    """The device's metrics, then those that devices of its type usually have."""
    device = Device.objects.select_related("type").filter(pk=source.device_id).first()
    if device is None:
        return []
    known = {
        row.name: KnownMetric(row.name, row.label, row.unit, row.minimum, row.maximum)
        for row in (*device.type.default_metrics.all(), *device.metrics.all())
    }
    return list(known.values())


def with_mappings(source: Source, proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals, where a field is mapped already replaced by the mapping as it is."""
    if not source.pk:
        return list(proposals)
    mapped = {row.field: row for row in source.mappings.select_related("metric")}
    return [_as_mapped(one, mapped[one.field]) if one.field in mapped else one for one in proposals]


def _as_mapped(proposal: Proposal, mapping: FieldMapping) -> Proposal:
    return replace(
        proposal,
        name=mapping.metric.name,
        label=mapping.metric.label,
        unit=mapping.unit,
        data_type=data_type_of(mapping.data_type),
        decimal_mark=mapping.decimal_mark,
        scale=mapping.scale,
        offset=mapping.offset,
        minimum=mapping.minimum,
        maximum=mapping.maximum,
        use=False,
        mapped=True,
    )


@transaction.atomic
def create_mappings(source: Source, proposals: Sequence[Proposal]) -> list[FieldMapping]:
    """Store the proposals that are to be used; returns the mappings that are new.

    Missing metrics are created on the device. A metric that this source feeds already is left as
    it is, so that the same proposals again change nothing. Raises ValidationError.
    """
    metrics = {metric.name: metric for metric in Metric.objects.filter(device=source.device_id)}
    usual = {one.name: one for one in metrics_known_to(source)}
    fed = set(source.mappings.values_list("metric__name", flat=True))
    created = []
    for proposal in proposals:
        if not proposal.use or proposal.name in fed:
            continue
        metric = metrics.get(proposal.name)
        if metric is None:
            new = True
            metric = _create_metric(source, proposal, usual.get(proposal.name))
            metrics[metric.name] = metric
        else:
            new = False
        created.append(_create_mapping(source, proposal, metric, own_range=not new))
        fed.add(proposal.name)
    return created


def _create_metric(source: Source, proposal: Proposal, usual: KnownMetric | None) -> Metric:
    last = Metric.objects.filter(device=source.device_id).aggregate(last=Max("position"))["last"]
    low, high = proposal.minimum, proposal.maximum
    metric = Metric(
        device_id=source.device_id,
        name=proposal.name,
        label=proposal.label,
        unit=usual.unit if usual else proposal.unit,
        data_type=proposal.data_type,
        decimals=_decimals(proposal, usual),
        minimum=usual.minimum if usual and low is None else low,
        maximum=usual.maximum if usual and high is None else high,
        position=0 if last is None else last + 1,
    )
    metric.full_clean()
    metric.save()
    return metric


def _create_mapping(
    source: Source, proposal: Proposal, metric: Metric, *, own_range: bool
) -> FieldMapping:
    mapping = FieldMapping(
        source_id=source.pk,
        field=proposal.field,
        metric=metric,
        data_type=proposal.data_type,
        decimal_mark=proposal.decimal_mark,
        scale=proposal.scale,
        offset=proposal.offset,
        unit=proposal.unit,
        remote_label=proposal.remote_label,
        minimum=proposal.minimum if own_range else None,
        maximum=proposal.maximum if own_range else None,
    )
    mapping.full_clean()
    mapping.save()
    return mapping


def _decimals(proposal: Proposal, usual: KnownMetric | None) -> int:
    """Digits after the point that the values have, as far as people want to read them."""
    if proposal.data_type != "float":
        return 0
    values = [value for value in mapped_values(proposal, usual) if isinstance(value, float)]
    if not values:
        return 1
    return max(len(f"{value:.{MOST_DECIMALS}f}".rstrip("0").partition(".")[2]) for value in values)
