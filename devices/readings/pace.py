"""How often a metric is expected to say something."""

from __future__ import annotations

from datetime import timedelta

from devices.models import FieldMapping, Metric

GAP = 3
"""Who says nothing for so many times the usual step is silent."""


def silence(metric: Metric) -> timedelta | None:
    """How far apart two readings are when something is missing between them: GAP steps.

    By the metric's own word, else by how often its sources are asked; None when neither is known:
    nothing is guessed.
    """
    every = metric.expected_every_s
    if every is None:
        mappings = FieldMapping.objects.filter(metric=metric)
        every = max(
            (
                one.source.effective_interval_s
                for one in mappings.select_related("source__device__type")
            ),
            default=None,
        )
    return None if every is None else timedelta(seconds=GAP * every)
