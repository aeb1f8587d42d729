"""Whose a large month of PostgreSQL is, told by some of its pages."""

from __future__ import annotations

from datetime import timedelta

import pytest

from devices.readings.samples import Sample
from devices.readings.store import ReadingStore, sampling
from devices.readings.tests.network import device, metrics
from devices.readings.tests.retained import JANUARY

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_large_month_is_told_by_some_pages(
    store: ReadingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    often, seldom = metrics(device(), 1)[0], metrics(device(), 1)[0]
    for level, rows in ((often, 12_000), (seldom, 4_000)):
        store.write(
            [
                Sample(level.device_id, JANUARY + timedelta(minutes=n), n, {level.pk: float(n)})
                for n in range(rows)
            ]
        )
    counted = store.shares()[JANUARY]
    assert counted.counted
    assert counted.of == pytest.approx({often.device_id: 0.75, seldom.device_id: 0.25}, abs=0.001)

    monkeypatch.setattr(sampling, "PAGES", 60)
    sampled = store.shares()[JANUARY]
    assert not sampled.counted
    assert sampled.of == pytest.approx(counted.of, abs=0.2)
    assert store.shares()[JANUARY] == sampled  # and says the same again
