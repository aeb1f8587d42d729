"""A recalculation beside live deliveries: in the end every reading is what its entry says."""

from __future__ import annotations

import random
import threading

import pytest

from devices.models import DeviceType, FieldMapping, Job, Source
from devices.readings.rollups import roll_up
from devices.readings.samples import Origin, ReceivedRequest
from devices.readings.store import get_store
from devices.readings.tests.test_concurrency import together
from devices.readings.tests.test_correcting_together import assert_everything_agrees
from ingestion.entries import Entry
from ingestion.pipeline import Delivery, ingest
from ingestion.recalculation import working
from ingestion.recalculation.comparing import compare
from ingestion.recalculation.scope import Scope as Reach
from ingestion.rules import field_rules
from ingestion.tests.recalculated import Scene

pytestmark = pytest.mark.usefixtures("shared_database")
ENTRIES = 200


def test_revised_entries_and_a_recalculation_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries come again with other values while the settings' past is computed, many times."""
    monkeypatch.setattr(working, "PAGE", 80)
    DeviceType.objects.get_or_create(slug="overhead-tank", defaults={"name": "Tank"})
    scene = Scene()
    scene.receive([str(n) for n in range(ENTRIES)])
    scene.correct(scale=2.0, maximum=300.0)
    chance = random.Random(3)
    batches = [chance.sample(range(ENTRIES), 20) for _ in range(8)]
    over = threading.Event()

    def deliver() -> None:
        try:
            source = Source.objects.get(pk=scene.channel.pk)
            rules = field_rules(source).usable
            for turn, batch in enumerate(batches):
                entries = [Entry(scene.at(n), n, {"field1": str(n + turn)}) for n in sorted(batch)]
                ingest(Delivery(source, rules, entries, (), Origin.LIVE), scene.now)
        finally:
            over.set()

    def recalculate() -> None:
        while True:
            last = over.is_set()
            scene.ask()
            scene.work()
            if last:
                return

    together(deliver, recalculate)

    assert set(Job.objects.values_list("state", flat=True)) == {"done"}
    source = Source.objects.prefetch_related("mappings__metric").get(pk=scene.channel.pk)
    page = get_store().received(ReceivedRequest(source.pk, limit=ENTRIES))
    stored = get_store().stored([scene.level.pk], [(one.at, one.sequence) for one in page])
    reach = Reach.of(source)
    found = compare(page, stored, reach.rules.usable, reach.watched, scene.now)
    assert (found.samples, found.gone) == ([], [])
    assert FieldMapping.objects.get().scale == 2.0
    roll_up(scene.now)
    held = {(one.at, one.sequence): one.value for one in scene.readings()}
    assert held
    zone = scene.village.community.zone
    assert_everything_agrees(get_store(), {scene.level.pk: held}, zone)
