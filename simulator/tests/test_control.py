"""Clock, limiter, journal and rows: what other tests use to judge a client."""

import json

import pytest

from simulator.clock import Clock
from simulator.limiter import Limiter
from simulator.tests.conftest import ENERGY, KEY, NOW, PUMP, TANK, Site


def test_the_clock_freezes_moves_and_hurries() -> None:
    real = [1000.0]
    clock = Clock(lambda: real[0])
    real[0] += 5
    assert clock.now() == 1005
    clock.run(speed=0)
    real[0] += 5
    assert clock.now() == 1005
    clock.run(at=2000, speed=60)
    real[0] += 2
    assert clock.now() == 2120
    clock.reset()
    assert clock.now() == real[0]


def test_the_clock_is_set_through_control(site: Site) -> None:
    assert site.control("clock", "POST", {"advance_s": 60})["now"] == NOW + 60
    shown = site.control("clock", "POST", {"at": "2026-01-01T00:00:00Z", "freeze": True})
    assert shown["iso"] == "2026-01-01T00:00:00Z"
    assert site.json(f"/channels/{TANK}/feeds/last.json")["created_at"].startswith(
        "2025-12-31T23:59:"
    )
    assert site.control("clock", "DELETE")["speed"] == 1


@pytest.mark.parametrize("body", [{"at": "soon"}, {"speed": -1}, {"advance_s": "x"}])
def test_a_clock_setting_without_sense_is_refused(site: Site, body: dict[str, object]) -> None:
    assert site.get("/control/clock", "POST", body).status == 400


def test_the_limiter_lets_no_window_hold_more_than_its_limit() -> None:
    limiter = Limiter(3, 10.0)
    times = [0, 1, 2, 3, 9.9, 10, 10.5, 11, 12, 12.1]
    accepted = [at for at in times if limiter.refusal(None, at) is None]
    assert accepted == [0, 1, 2, 10, 11, 12]
    assert (limiter.accepted, limiter.refused) == (6, 4)


def test_the_limiter_answers_429_and_counts(site: Site) -> None:
    site.control("limiter", "POST", {"limit": 2, "window_s": 1000, "per_channel": True})
    answers = [site.get(f"/channels/{TANK}/feeds.json") for _ in range(3)]
    assert [answer.status for answer in answers] == [200, 200, 429]
    assert 900 < int(answers[2].headers["Retry-After"]) <= 1000
    assert site.get(f"/channels/{PUMP}/feeds.json").status == 200
    assert site.control("limiter")["refused"] == 1
    site.control("limiter", "DELETE")
    assert site.get(f"/channels/{TANK}/feeds.json").status == 200


def test_the_journal_notes_requests_without_keys(site: Site) -> None:
    site.get(f"/channels/{ENERGY}/feeds.json?results=2&api_key={KEY}")
    site.get(f"/channels/{TANK}/feeds/last.json?key={KEY}&timezone=UTC")
    site.get("/channels/1/feeds.json")
    text = json.dumps(site.control("journal"))
    assert KEY not in text
    journal = json.loads(text)
    assert journal["total"]["statuses"] == {"200": 2, "404": 1}
    first, second, third = journal["requests"]
    assert (first["channel"], first["rows"], first["status"], first["key"]) == (
        ENERGY,
        2,
        200,
        True,
    )
    assert second["path"].endswith("last.json?key=***&timezone=UTC")
    assert third["key"] is False
    assert first["simulated"] == NOW
    assert journal["channels"][str(TANK)]["in_flight"] == 0
    assert [v["number"] for v in site.control(f"journal?channel={TANK}")["requests"]] == [2]
    assert [v["number"] for v in site.control("journal?after=2")["requests"]] == [3]
    site.control("journal", "DELETE")
    assert site.control("journal")["total"]["requests"] == 0


def test_rows_that_exist_and_rows_that_were_served(site: Site) -> None:
    site.control("journal", "POST", {"record_rows": True})
    shown = site.json(f"/channels/{TANK}/feeds.json?results=7")["feeds"]
    site.json(f"/channels/{TANK}/feeds.json?results=3")
    served = site.control(f"rows?channel={TANK}&served=true")
    assert served["rows"] == [[row["created_at"], row["entry_id"]] for row in shown]
    day = "start=2026-11-19T00:00:00Z&end=2026-11-19T23:59:59Z"
    exist = site.control(f"rows?channel={PUMP}&{day}")
    assert exist["count"] == len(exist["rows"]) == 8640
    site.fault("cleared", channel=PUMP)
    assert site.control(f"rows?channel={PUMP}&{day}&faulted=1")["count"] == 0
    assert site.get("/control/rows?channel=1").status == 400


def test_reset_brings_everything_back(site: Site) -> None:
    site.fault("html")
    site.control("limiter", "POST", {"limit": 0, "window_s": 1})
    site.control("reset", "POST")
    assert site.get(f"/channels/{TANK}/feeds.json").status == 200
    assert site.control("faults")["active"] == []


def test_unknown_controls_and_bad_bodies_are_explained(site: Site) -> None:
    assert site.get("/control/nothing").status == 404
    assert b"POST /control/faults" in site.get("/control/nothing").body
    assert site.get("/control/faults", "POST", 7).status == 400
