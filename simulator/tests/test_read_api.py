"""The read API answers as the facts about ThingSpeak say."""

import re

import pytest

from simulator.tests.conftest import DEAD, EMPTY, ENERGY, KEY, NOW, PUMP, TANK, Site
from simulator.times import json_form, parse


def _at(text: str) -> float:
    at = parse(text, None)
    assert at is not None
    return at


def test_feeds_have_a_channel_block_and_rows_of_text(site: Site) -> None:
    answer = site.get(f"/channels/{TANK}/feeds.json?results=2")
    assert answer.content_type == "application/json; charset=utf-8"
    assert b'": ' not in answer.body
    shown = site.json(f"/channels/{TANK}/feeds.json?results=2")
    channel, rows = shown["channel"], shown["feeds"]
    assert channel["id"] == TANK
    assert isinstance(channel["latitude"], str)
    assert channel["field1"] == "Water Level (cm)"
    assert "field4" not in channel
    assert channel["last_entry_id"] == rows[-1]["entry_id"]
    assert list(rows[0]) == ["created_at", "entry_id", "field1", "field2", "field3"]
    assert re.fullmatch(r"\d+\.\d", rows[0]["field1"])
    assert [row["entry_id"] for row in rows] == [rows[0]["entry_id"], rows[0]["entry_id"] + 1]
    assert all(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", row["created_at"]) for row in rows)


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 100),
        ("?results=1", 1),
        ("?results=8000", 8000),
        ("?results=9999", 8000),
        ("?results=0", 0),
    ],
)
def test_default_is_100_rows_and_the_limit_is_8000(site: Site, query: str, count: int) -> None:
    assert len(site.json(f"/channels/{PUMP}/feed.json{query}")["feeds"]) == count


def test_a_window_that_holds_more_than_8000_rows_gives_its_newest_oldest_first(site: Site) -> None:
    start, end = json_form(NOW - 5 * 86400), json_form(NOW - 86400)
    rows = site.json(f"/channels/{PUMP}/feeds.json?start={start[:-1]}&end={end[:-1]}")["feeds"]
    assert len(rows) == 8000
    times = [row["created_at"] for row in rows]
    assert times == sorted(times)
    assert _at(end) - _at(times[-1]) < 15


def test_start_and_end_are_inclusive_and_read_in_the_zone_of_the_request(site: Site) -> None:
    rows = site.json(f"/channels/{TANK}/feeds.json?results=20")["feeds"]
    first, last = rows[3]["created_at"], rows[9]["created_at"]
    span = f"start={first[:10]}%20{first[11:19]}&end={last[:10]}%20{last[11:19]}"
    assert site.json(f"/channels/{TANK}/feeds.json?{span}")["feeds"] == rows[3:10]

    def local(text: str) -> str:
        shown = json_form(_at(text) + 19800)
        return f"{shown[:10]}+{shown[11:19]}"

    zoned = site.json(
        f"/channels/{TANK}/feeds.json?timezone=Asia/Kolkata&start={local(first)}&end={local(last)}"
    )["feeds"]
    assert [row["entry_id"] for row in zoned] == [row["entry_id"] for row in rows[3:10]]
    assert zoned[0]["created_at"].endswith("+05:30")
    assert _at(zoned[0]["created_at"]) == _at(first)


def test_end_alone_means_the_day_before_now_but_results_page_backwards(site: Site) -> None:
    old = "2026-10-01%2000:00:00"
    assert site.json(f"/channels/{TANK}/feeds.json?end={old}")["feeds"] == []
    rows = site.json(f"/channels/{TANK}/feeds.json?end={old}&results=5")["feeds"]
    assert len(rows) == 5
    assert rows[-1]["created_at"] <= "2026-10-01T00:00:00Z"


def test_minutes_keep_the_limit_of_100_and_days_raise_it(site: Site) -> None:
    assert len(site.json(f"/channels/{PUMP}/feeds.json?minutes=60")["feeds"]) == 100
    assert len(site.json(f"/channels/{PUMP}/feeds.json?minutes=5")["feeds"]) == 30
    assert len(site.json(f"/channels/{ENERGY}/feeds.json?days=1&api_key={KEY}")["feeds"]) == 1440


def test_unknown_zone_is_utc_and_offset_is_whole_hours(site: Site) -> None:
    path = f"/channels/{TANK}/feeds/last.json"
    assert site.json(f"{path}?timezone=Atlantis/Centre")["created_at"].endswith("Z")
    assert site.json(f"{path}?offset=-5")["created_at"].endswith("-05:00")
    assert site.json(f"{path}?timezone=UTC")["created_at"].endswith("Z")


@pytest.mark.parametrize(
    ("query", "headers"),
    [
        (f"?api_key={KEY}", {}),
        (f"?key={KEY}", {}),
        (f"?apikey={KEY}", {}),
        ("", {"x-thingspeakapikey": KEY}),
        ("", {"thingspeakapikey": KEY}),
        ("?api_key=DEMOWRITEKEY0106", {}),
    ],
)
def test_any_key_of_a_private_channel_opens_it(
    site: Site, query: str, headers: dict[str, str]
) -> None:
    answer = site.get(f"/channels/{ENERGY}/feeds.json{query}", **headers)
    assert answer.status == 200
    assert b'"feeds":[{' in answer.body


@pytest.mark.parametrize("query", ["", "?api_key=WRONGWRONGWRONG1"])
def test_without_access_lists_say_400_and_single_values_say_minus_one(
    site: Site, query: str
) -> None:
    for path in ("feeds.json", "feeds.csv", "fields/1.json"):
        answer = site.get(f"/channels/{ENERGY}/{path}{query}")
        assert (answer.status, answer.body) == (400, b"-1")
    for path, body in (
        ("feeds/last.json", b'"-1"'),
        ("feeds/last.txt", b'"-1"'),
        ("feeds/last", b'"-1"'),
        ("feeds/last.csv", b"-1"),
        ("fields/1/last.json", b'"-1"'),
        ("last_entry_id.json", b"-1"),
    ):
        answer = site.get(f"/channels/{ENERGY}/{path}{query}")
        assert (answer.status, answer.body) == (200, body), path


def test_a_public_channel_does_not_mind_a_wrong_key(site: Site) -> None:
    assert site.get(f"/channels/{TANK}/feeds.json?api_key=WRONGWRONGWRONG1").status == 200


def test_an_empty_channel_has_null_as_last_entry_and_minus_one_as_last(site: Site) -> None:
    shown = site.json(f"/channels/{EMPTY}/feeds.json")
    assert shown["channel"]["last_entry_id"] is None
    assert shown["feeds"] == []
    assert site.get(f"/channels/{EMPTY}/feeds/last.json").body == b'"-1"'


def test_an_unknown_channel_is_404_with_nested_json(site: Site) -> None:
    answer = site.get("/channels/1/feeds.json")
    assert answer.status == 404
    shown = site.json("/channels/1/feeds.json")
    assert shown["status"] == "404"
    assert shown["error"]["error_code"] == "error_resource_not_found"
    assert site.get("/channels/1/feeds.csv").body == b"error_resource_not_found"


def test_fields_show_one_field_and_last_values_stand_bare(site: Site) -> None:
    rows = site.json(f"/channels/{PUMP}/fields/4.json?results=3")
    assert list(rows["feeds"][0]) == ["created_at", "entry_id", "field4"]
    assert rows["channel"]["field1"] == "Pump Power (kW)"
    value = rows["feeds"][-1]["field4"]
    for path in ("fields/4/last", "field/field4/last.txt"):
        assert site.get(f"/channels/{PUMP}/{path}").body.decode() == value
    assert site.json(f"/channels/{PUMP}/fields/4/last.json")["field4"] == value


def test_entry_view_status_id_and_age(site: Site) -> None:
    last = site.json(f"/channels/{TANK}/feeds/last.json")
    number = last["entry_id"]
    assert site.json(f"/channels/{TANK}/feeds/{number}.json") == last
    assert site.json(f"/channels/{TANK}/feeds/entry/{number}.json") == last
    assert site.get(f"/channels/{TANK}/feeds/{number + 1}.json").body == b'"-1"'
    assert site.json(f"/channels/{TANK}/last_entry_id.json") == number
    age = int(site.get(f"/channels/{DEAD}/feeds/last_data_age.txt").body)
    assert 3 * 3600 <= age < 3 * 3600 + 60
    view = site.json(f"/channels/{TANK}.json")
    assert (view["id"], view["last_entry_id"], view["elevation"]) == (TANK, number, "544")
    assert site.get(f"/channels/{ENERGY}.json?api_key={KEY}").status == 400
    statuses = site.json(f"/channels/{TANK}/status.json?results=2")["feeds"]
    assert [list(row) for row in statuses] == [["created_at", "entry_id", "status"]] * 2


def test_extras_come_only_for_the_word_true(site: Site) -> None:
    path = f"/channels/{TANK}/feeds.json?results=1"
    row = site.json(f"{path}&location=true&status=true")["feeds"][0]
    assert list(row)[-4:] == ["latitude", "longitude", "elevation", "status"]
    plain = site.json(f"{path}&location=1&status=yes&metadata=1")
    assert "latitude" not in plain["feeds"][0]
    assert "metadata" not in plain["channel"]
    assert "metadata" in site.json(f"{path}&metadata=true")["channel"]


def test_csv_has_a_header_and_times_with_a_zone(site: Site) -> None:
    answer = site.get(f"/channels/{TANK}/feeds.csv?results=2")
    lines = answer.body.decode().splitlines()
    assert lines[0] == "created_at,entry_id,field1,field2,field3"
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC,\d+,", lines[1])
    zoned = site.get(f"/channels/{TANK}/feeds.csv?results=1&timezone=Asia/Kolkata").body.decode()
    assert " +0530," in zoned


def test_round_min_and_max(site: Site) -> None:
    path = f"/channels/{TANK}/fields/1.json?results=50"
    assert all("." not in row["field1"] for row in site.json(f"{path}&round=0")["feeds"])
    everything = site.json(f"/channels/{PUMP}/feeds.json?results=50")["feeds"]
    assert (
        site.json(f"/channels/{PUMP}/feeds.json?results=50&min=-1&max=9999")["feeds"] == everything
    )
    assert site.json(f"/channels/{PUMP}/feeds.json?results=50&min=9999")["feeds"] == []


def test_aggregates_have_slots_without_entry_id(site: Site) -> None:
    shown = site.json(f"/channels/{ENERGY}/feeds.json?results=120&sum=60&api_key={KEY}")["feeds"]
    assert len(shown) in {2, 3}
    assert list(shown[0]) == ["created_at", "field1", "field2", "field3"]
    assert all(row["created_at"].endswith(":00:00Z") for row in shown)
    rows = site.json(f"/channels/{TANK}/feeds.json?results=300")["feeds"]
    averaged = site.json(f"/channels/{TANK}/feeds.json?results=300&average=10")["feeds"]
    slot = [float(row["field1"]) for row in rows if row["created_at"] >= averaged[-1]["created_at"]]
    assert float(averaged[-1]["field1"]) == pytest.approx(sum(slot) / len(slot))


def test_repeating_a_big_question_gives_the_answer_of_five_minutes_ago(site: Site) -> None:
    big, small = (f"/channels/{PUMP}/feeds.json?results={count}" for count in (101, 100))
    before = site.get(big).body, site.get(small).body
    site.clock.run(at=NOW + 299)
    assert site.get(big).body == before[0]
    assert site.get(small).body != before[1]
    site.clock.run(at=NOW + 300)
    assert site.get(big).body != before[0]


def test_callback_wraps_json(site: Site) -> None:
    answer = site.get(f"/channels/{TANK}/feeds/last.json?callback=show")
    assert answer.content_type.startswith("text/javascript")
    assert answer.body.startswith(b'show({"created_at"')


def test_public_channels_come_in_pages_of_fifteen(site: Site) -> None:
    first, second = (site.json(f"/channels/public.json?page={page}") for page in (1, 2))
    assert first["pagination"] == {"current_page": 1, "per_page": 15, "total_entries": 18}
    assert (len(first["channels"]), len(second["channels"])) == (15, 3)
    assert ENERGY not in {shown["id"] for shown in first["channels"] + second["channels"]}
    near = site.json("/channels/public.json?latitude=17.5931&longitude=78.1320&distance=4")
    assert all("Ambapur" in shown["name"] for shown in near["channels"])


@pytest.mark.parametrize("query", ["results=many", "start=yesterday", "min=low"])
def test_nonsense_is_a_bad_request_that_says_what_is_wrong(site: Site, query: str) -> None:
    answer = site.get(f"/channels/{TANK}/feeds.json?{query}")
    assert answer.status == 400
    assert query.split("=")[0].encode() in answer.body


def test_writing_is_refused_and_xml_is_offered(site: Site) -> None:
    assert site.get("/update", "POST").status == 405
    assert site.get(f"/channels/{TANK}/feeds.json", "POST").status == 405
    answer = site.get(f"/channels/{TANK}/feeds.xml?results=1")
    assert b'<feeds type="array"><feed><created-at type="dateTime">' in answer.body


def test_the_front_page_lists_the_channels(site: Site) -> None:
    page = site.get("/").body.decode()
    assert "Ambapur Overhead Tank" in page
    assert "not ThingSpeak" in page
    assert KEY not in page
