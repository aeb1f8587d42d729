"""Faults in what a channel says: each does what its name promises and ends when told."""

import json

import pytest

from simulator.tests.conftest import ENERGY, KEY, NOW, PUMP, TANK, Site

FEEDS = f"/channels/{TANK}/feeds.json?results=5"


def test_a_cleared_channel_starts_again_at_one(site: Site) -> None:
    site.fault("cleared", channel=TANK)
    shown = site.json(FEEDS)
    assert (shown["channel"]["last_entry_id"], shown["feeds"]) == (None, [])
    site.clock.run(at=NOW + 60)
    shown = site.json(f"/channels/{TANK}/feeds.json?results=50")
    numbers = [row["entry_id"] for row in shown["feeds"]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert shown["channel"]["last_entry_id"] == len(numbers) > 4
    assert site.json(f"/channels/{TANK}/feeds/2.json")["entry_id"] == 2


def test_late_rows_are_withheld_and_then_appear(site: Site) -> None:
    before = site.json(FEEDS)["feeds"]
    site.fault("late", channel=TANK)
    site.clock.run(at=NOW + 600)
    assert site.json(FEEDS)["feeds"] == before
    assert site.json(f"/channels/{TANK}/last_entry_id.json") == before[-1]["entry_id"]
    site.control("faults", "DELETE")
    rows = site.json(f"/channels/{TANK}/feeds.json?minutes=10")["feeds"]
    assert rows[0]["entry_id"] == before[-1]["entry_id"] + 1
    assert len(rows) > 50


def test_duplicate_rows_come_twice(site: Site) -> None:
    before = site.json(FEEDS)["feeds"]
    site.fault("duplicate")
    rows = site.json(f"/channels/{TANK}/feeds.json?results=10")["feeds"]
    assert rows == [row for row in before for _ in range(2)]


def test_future_rows_follow_the_newest(site: Site) -> None:
    site.fault("future", seconds=3600, count=2)
    rows = site.json(FEEDS)["feeds"]
    assert [row["created_at"] for row in rows[-2:]] == [
        "2026-11-20T11:00:00Z",
        "2026-11-20T11:00:01Z",
    ]
    assert rows[-1]["entry_id"] > rows[2]["entry_id"]
    assert len(rows) == 5
    assert site.json(f"/channels/{TANK}/feeds/last.json")["created_at"] == "2026-11-20T11:00:01Z"


def test_falling_ids_fall_and_stay_the_same_for_a_row(site: Site) -> None:
    site.fault("falling_ids")
    first = site.json(FEEDS)["feeds"]
    numbers = [row["entry_id"] for row in first]
    assert numbers == sorted(numbers, reverse=True)
    site.clock.run(at=NOW + 22)
    second = site.json(FEEDS)["feeds"]
    assert first[-1] in second


def test_labels_and_fields_can_change_swap_and_vanish(site: Site) -> None:
    before = site.json(f"/channels/{PUMP}/feeds.json?results=3")
    site.fault("rename", channel=PUMP, field=1, label="Depth (ft)")
    assert site.json(f"/channels/{PUMP}/feeds.json")["channel"]["field1"] == "Depth (ft)"
    site.control("faults", "DELETE")
    site.fault("swap", channel=PUMP, first=3, second=4)
    shown = site.json(f"/channels/{PUMP}/feeds.json?results=3")
    assert shown["channel"]["field3"] == "Flow Rate (L/min)"
    assert shown["feeds"] == before["feeds"]  # what was sent before stays
    site.control("faults", "DELETE")
    site.fault("vanish", channel=PUMP, field=2)
    shown = site.json(f"/channels/{PUMP}/feeds.json?results=3")
    assert "field2" not in shown["channel"]
    assert "field2" not in shown["feeds"][0]
    assert shown["feeds"][0]["field3"] == before["feeds"][0]["field3"]


def test_rows_after_a_swap_carry_each_others_values(site: Site) -> None:
    site.fault("swap", channel=TANK, first=1, second=2, labels=False)
    site.clock.run(at=NOW + 60)
    query = f"/channels/{TANK}/feeds.json?minutes=1"
    swapped = site.json(query)
    site.control("faults", "DELETE")
    plain = site.json(query)
    assert swapped["channel"] == plain["channel"]
    assert len(plain["feeds"]) > 3
    assert [row["field1"] for row in swapped["feeds"]] == [row["field2"] for row in plain["feeds"]]


def test_a_device_may_begin_to_send_another_unit(site: Site) -> None:
    before = site.json(FEEDS)["feeds"]
    site.fault("scale", channel=TANK, field=2, factor=1.8, offset=32, decimals=1)
    assert site.json(FEEDS)["feeds"] == before
    site.clock.run(at=NOW + 60)
    query = f"/channels/{TANK}/feeds.json?minutes=1"
    scaled = [row["field2"] for row in site.json(query)["feeds"]]
    site.control("faults", "DELETE")
    celsius = [float(row["field2"]) for row in site.json(query)["feeds"]]
    assert scaled == [f"{one * 1.8 + 32:.1f}" for one in celsius]


def test_a_wrong_key_closes_even_a_public_channel(site: Site) -> None:
    site.fault("wrong_key", channel=TANK)
    answer = site.get(FEEDS)
    assert (answer.status, answer.body) == (400, b"-1")
    assert site.get(f"/channels/{TANK}/feeds/last.json").body == b'"-1"'
    assert site.get(f"/channels/{ENERGY}/feeds.json?api_key={KEY}").status == 200


@pytest.mark.parametrize("code", [401, 402, 404, 429, 500, 502, 503, 504])
def test_any_status_can_be_asked_for(site: Site, code: int) -> None:
    site.fault("status", code=code, requests=1)
    answer = site.get(FEEDS)
    assert answer.status == code
    assert "Retry-After" not in answer.headers
    assert answer.content_type.startswith("text/html" if code >= 500 else "application/json")
    assert site.get(FEEDS).status == 200


def test_retry_after_in_seconds_and_as_a_date(site: Site) -> None:
    site.fault("status", code=429, retry_after=7, requests=1)
    site.fault("status", code=503, retry_after=60, as_date=True)
    assert site.get(FEEDS).headers["Retry-After"] == "7"
    assert site.get(FEEDS).headers["Retry-After"].endswith(" GMT")


def test_html_minus_one_redirect_and_a_huge_body(site: Site) -> None:
    site.fault("html", requests=1)
    answer = site.get(FEEDS)
    assert (answer.status, answer.content_type) == (200, "text/html; charset=utf-8")
    site.fault("minus_one", requests=1)
    assert (site.get(FEEDS).status, site.fault("minus_one", code=200, requests=1)["code"]) == (
        400,
        200,
    )
    assert (site.get(FEEDS).status, site.get(FEEDS).status) == (200, 200)
    site.fault("redirect", to="http://10.0.0.1/", requests=1)
    answer = site.get(FEEDS)
    assert (answer.status, answer.headers["Location"]) == (302, "http://10.0.0.1/")
    site.fault("huge", requests=1)
    body = site.get(FEEDS).body
    assert len(body) == 10_000_000
    assert json.loads(body)["feeds"] == []


def test_faults_hit_their_channel_for_their_number_of_requests(site: Site) -> None:
    site.fault("status", code=500, channel=TANK, requests=2)
    assert site.get(f"/channels/{PUMP}/feeds.json").status == 200
    assert [site.get(FEEDS).status for _ in range(3)] == [500, 500, 200]
    first, second = site.fault("html", channel=TANK), site.fault("html", channel=PUMP)
    assert site.control(f"faults/{first['id']}", "DELETE") == {"cleared": 1}
    assert [fault["id"] for fault in site.control("faults")["active"]] == [second["id"]]
    assert site.control(f"faults?channel={PUMP}", "DELETE") == {"cleared": 1}


@pytest.mark.parametrize(
    "described",
    [
        {"kind": "gremlins"},
        {"kind": "status"},
        {"kind": "status", "code": 99},
        {"kind": "status", "code": "500"},
        {"kind": "latency", "seconds": -1},
        {"kind": "vanish", "field": 9},
        {"kind": "drip", "chunk": 0},
        {"kind": "html", "colour": "red"},
        {"kind": "html", "requests": 0},
        {"kind": "redirect", "to": "http://x\r\nSet-Cookie: a"},
    ],
)
def test_a_fault_described_wrongly_is_refused(site: Site, described: dict[str, object]) -> None:
    answer = site.get("/control/faults", "POST", described)
    assert answer.status == 400
    assert json.loads(answer.body)["error"]
    assert site.control("faults")["active"] == []
