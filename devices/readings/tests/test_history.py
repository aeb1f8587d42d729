"""History comes in pages that join without gap or overlap, in either direction."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices.models import DataType
from devices.readings.samples import HistoryRequest, Reading, Sample
from devices.readings.store import ReadingStore, UnknownMetric
from devices.readings.tests.network import START, device, metrics, minutes

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("data_type", [DataType.FLOAT, DataType.BOOLEAN])
@pytest.mark.parametrize("newest_first", [False, True])
def test_pages_join(store: ReadingStore, data_type: str, newest_first: bool) -> None:
    (metric,) = metrics(device(), 1, data_type)
    # Pairs of readings share an instant; only their entry number tells them apart.
    store.write(
        [
            Sample(
                metric.device_id,
                minutes(START, n // 2),
                n,
                {metric.pk: n % 3 == 0 if data_type == DataType.BOOLEAN else float(n)},
            )
            for n in range(25)
        ]
    )

    seen: list[Reading] = []
    after = None
    while True:
        page = store.history(
            HistoryRequest(metric.pk, minutes(START, 1), minutes(START, 11), 3, newest_first, after)
        )
        seen += page
        if len(page) < 3:
            break
        after = (page[-1].at, page[-1].sequence)

    expected = list(range(2, 22))
    assert [r.sequence for r in seen] == (expected[::-1] if newest_first else expected)


def test_a_metric_without_readings_has_an_empty_history(store: ReadingStore) -> None:
    (metric,) = metrics(device(), 1)

    assert list(store.history(HistoryRequest(metric.pk, START, START + timedelta(days=1)))) == []
    assert store.latest([metric.pk]) == {}
    assert store.latest([]) == {}


def test_a_metric_that_does_not_exist_is_an_error(store: ReadingStore) -> None:
    with pytest.raises(UnknownMetric):
        store.history(HistoryRequest(999_999, START, START + timedelta(days=1)))
