"""Which name of its field a mapping is watched by, whoever made or corrected the mapping."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection as database
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from devices.alerts.models import Alert
from devices.models import FieldMapping, Metric, Role, ThingSpeakChannel
from devices.readings.samples import HistoryRequest
from devices.readings.store import get_store
from devices.tests.scene import browser, person
from ingestion.gaps import BEGINNING, END
from ingestion.models import MappingPause, PauseKind, PollState, SourceEvent
from ingestion.tests import stack as network
from ingestion.tests.stack import TANK, Stack
from ingestion.tests.test_nothing_lost import Interrupted, running, stack

__all__ = ["running", "stack"]
pytestmark = pytest.mark.django_db(transaction=True)

LEVEL, WARMTH, BATTERY = "Water Level (cm)", "Water Temperature (°C)", "Battery (V)"
BOXES = (
    "id", "field", "metric", "data_type", "decimal_mark", "scale", "offset", "unit", "minimum",
    "maximum",
)  # fmt: skip


class Page:
    """A channel's page in the admin, in the browser of somebody who operates it."""

    def __init__(self, source: ThingSpeakChannel) -> None:
        self.source = source
        self.path = reverse("admin:devices_thingspeakchannel_change", args=[source.pk])
        self.client: Client = browser(person("operator", source.device.community, Role.OPERATOR))

    def save(self, new: dict[str, Any] | None = None, **changes: dict[str, Any]) -> None:
        """Send the page's form; `changes` of mappings by their metric's name, and a `new` one."""
        found = list(self.source.mappings.select_related("metric").order_by("pk"))
        rows = [{**_boxes(one), **changes.get(one.metric.name, {})} for one in found]
        if new:
            rows.append({**_boxes(FieldMapping(source=self.source)), **new})
        sent = {
            "connection": self.source.connection_id,
            "channel_id": self.source.channel_id,
            "read_key": "",
            "interval_s": self.source.interval_s,
            "history_from_0": f"{self.source.history_from:%Y-%m-%d}",
            "history_from_1": f"{self.source.history_from:%H:%M:%S}",
            "enabled": "on",
            "mappings-TOTAL_FORMS": len(rows),
            "mappings-INITIAL_FORMS": len(found),
        }
        for number, row in enumerate(rows):
            sent |= {f"mappings-{number}-{name}": value for name, value in row.items()}
        assert self.client.post(self.path, sent).status_code == 302

    @property
    def text(self) -> str:
        return self.client.get(self.path).content.decode()


def _boxes(mapping: FieldMapping) -> dict[str, Any]:
    """What a browser sends of a mapping's row."""
    values = {name: mapping.serializable_value(name) for name in BOXES}
    return {**{name: "" if one is None else one for name, one in values.items()}, "enabled": "on"}


def channel(stack: Stack, fields: tuple[str, ...] = ("field1", "field3")) -> ThingSpeakChannel:
    """The tank, mapped by hand before anybody has asked it for the names of its fields."""
    account = network.connection(stack.simulator)
    history = stack.at - timedelta(minutes=17)
    return network.channel(account, fields=fields, interval_s=5, history_from=history)


def polls(stack: Stack, count: int = 2) -> None:
    for _ in range(count):
        stack.advance(30)
        stack.tick()


def names(source: ThingSpeakChannel) -> dict[str, str]:
    """The name that each metric's mapping is watched by."""
    return dict(source.mappings.values_list("metric__name", "remote_label"))


def paused() -> dict[str, str]:
    open_ = MappingPause.objects.filter(resolved_at=None, until=None)
    return dict(open_.values_list("mapping__metric__name", "kind"))


def stored(source: ThingSpeakChannel, metric: str) -> list[int]:
    pk = source.device.metrics.get(name=metric).pk
    found = get_store().history(HistoryRequest(pk, BEGINNING, END, limit=100_000))
    return [one.sequence for one in found]


def test_a_mapping_without_a_name_is_watched_from_the_first_answer_on(stack: Stack) -> None:
    source = channel(stack)
    assert names(source) == {"field1": "", "field3": ""}
    stack.read_everything()
    assert names(source) == {"field1": LEVEL, "field3": BATTERY}
    assert LEVEL in Page(source).text
    stack.simulator.fault("rename", channel=TANK, field=1, label="Pump Pressure (bar)")
    polls(stack)
    before = stored(source, "field1")
    polls(stack)
    assert paused() == {"field1": PauseKind.RENAMED}
    assert stored(source, "field1") == before
    assert f"“{LEVEL}”" in Alert.objects.open().get().text


def test_a_field_without_a_name_is_stored_and_named_as_soon_as_it_has_one(stack: Stack) -> None:
    source = channel(stack)
    fault = stack.simulator.fault("rename", channel=TANK, field=1, label="")
    stack.read_everything()
    assert names(source) == {"field1": "", "field3": BATTERY}
    assert stored(source, "field1") == stored(source, "field3")
    stack.simulator.control(f"faults/{fault}", "DELETE")
    polls(stack)
    assert names(source) == {"field1": LEVEL, "field3": BATTERY}
    assert not MappingPause.objects.exists()


def test_a_mapping_added_on_the_page_is_watched_at_once(stack: Stack) -> None:
    source = channel(stack)
    stack.read_everything()
    metric = Metric.objects.create(device=source.device, name="warmth", label="Warmth")
    page = Page(source)
    page.save(new={"field": "field2", "metric": metric.pk})
    assert names(source) == {"field1": LEVEL, "field3": BATTERY, "warmth": WARMTH}
    assert f"{WARMTH}</" in page.text
    stack.simulator.fault("vanish", channel=TANK, field=2)
    polls(stack)
    assert paused() == {"warmth": PauseKind.VANISHED}


def test_a_mapping_added_before_the_first_answer_is_named_by_it(stack: Stack) -> None:
    source = channel(stack)
    metric = Metric.objects.create(device=source.device, name="warmth", label="Warmth")
    Page(source).save(new={"field": "field2", "metric": metric.pk})
    assert names(source)["warmth"] == ""
    stack.read_everything()
    assert names(source)["warmth"] == WARMTH


def test_a_corrected_mapping_goes_on_and_is_watched_by_its_new_field(stack: Stack) -> None:
    source = channel(stack)
    stack.read_everything()
    page = Page(source)
    page.save(field1={"field": "field2"})
    assert names(source) == {"field1": WARMTH, "field3": BATTERY}
    before = stored(source, "field1")
    polls(stack)
    assert not MappingPause.objects.exists()
    assert len(stored(source, "field1")) > len(before)
    stack.simulator.fault("rename", channel=TANK, field=2, label="Other")
    polls(stack)
    assert paused() == {"field1": PauseKind.RENAMED}


def test_a_mapping_corrected_to_a_field_without_a_name_goes_on(stack: Stack) -> None:
    source = channel(stack)
    stack.read_everything()
    Page(source).save(field1={"field": "field8"})
    assert names(source) == {"field1": "", "field3": BATTERY}
    polls(stack)
    assert not MappingPause.objects.exists()


def test_saving_the_page_accepts_no_new_name(stack: Stack) -> None:
    source = channel(stack)
    stack.read_everything()
    stack.simulator.fault("rename", channel=TANK, field=1, label="Other")
    polls(stack)
    page = Page(source)
    page.save(field1={"maximum": 1000})
    assert source.mappings.get(field="field1").maximum == 1000
    assert names(source) == {"field1": LEVEL, "field3": BATTERY}
    assert LEVEL in page.text
    polls(stack)
    assert paused() == {"field1": PauseKind.RENAMED}


def test_a_paused_mapping_that_somebody_corrects_goes_on(stack: Stack) -> None:
    source = channel(stack)
    stack.read_everything()
    stack.simulator.fault("swap", channel=TANK, first=1, second=2)
    polls(stack)
    assert paused() == {"field1": PauseKind.MOVED}
    before = stored(source, "field1")
    Page(source).save(field1={"field": "field2"})
    polls(stack, 3)
    assert not paused()
    assert len(stored(source, "field1")) > len(before)
    told = SourceEvent.objects.latest("pk").text
    assert told.startswith("field1 is read from field2 now: it is stored.")


def test_a_correction_made_while_a_poll_is_under_way_stands(stack: Stack) -> None:
    source = channel(stack)
    stack.simulator.fault("rename", channel=TANK, field=3, label="")

    def correct() -> None:
        FieldMapping.objects.filter(field="field1").update(field="field3")

    transport = Interrupted(stack.worker.equipment.transport, correct)
    stack.worker = stack.worker_with(stack.gate, transport)
    stack.tick()
    assert PollState.objects.get().labels == {"field1": LEVEL, "field2": WARMTH}
    assert names(source)["field1"] == ""


@pytest.mark.skipif(database.vendor == "sqlite", reason="SQLite locks no rows.")
def test_a_poll_does_not_wait_for_somebody_who_saves_a_mapping(stack: Stack) -> None:
    source = channel(stack)
    somebody = database.copy()
    somebody.set_autocommit(False)
    with closing(somebody), somebody.cursor() as saving:
        saving.execute("UPDATE devices_fieldmapping SET scale = 2 WHERE field = 'field1'")
        stack.tick()
        assert names(source) == {"field1": "", "field3": BATTERY}
        somebody.rollback()
    polls(stack, 1)
    assert names(source) == {"field1": LEVEL, "field3": BATTERY}


def test_only_a_poll_that_brings_a_name_looks_for_mappings_without(stack: Stack) -> None:
    channel(stack, ("field1", "field8"))  # field8 has no name
    with CaptureQueriesContext(database) as first:
        stack.read_everything()
    with CaptureQueriesContext(database) as later:
        polls(stack)
    asked = [[one for one in each if '"remote_label" = ' in one["sql"]] for each in (first, later)]
    assert asked[0]
    assert not asked[1]
