"""What is asked of ThingSpeak: a range, the newest rows of it, the key in a header only."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from ingestion.resilience.classify import Kind, SourceError
from ingestion.resilience.transport import HttpRequest
from ingestion.sources import ADAPTERS
from ingestion.sources.base import Window
from ingestion.sources.thingspeak import ThingSpeakConfig

KEY = "ZX81QL3KSPECTRUM"
SINCE = datetime(2026, 11, 20, 21, 58, 3, 400_000, tzinfo=UTC)


def ask(
    window: Window, base: str = "https://api.thingspeak.com", key: str | None = None
) -> HttpRequest:
    return ADAPTERS["thingspeak"].request(ThingSpeakConfig(base, 9, key), window)


def test_the_newest_rows_are_asked_for_without_a_range() -> None:
    request = ask(Window(limit=3), "https://api.thingspeak.com/")
    assert request.url == "https://api.thingspeak.com/channels/9/feeds.json"
    assert dict(request.params) == {"results": "3", "timezone": "UTC"}
    assert request.method == "GET"


def test_a_range_is_asked_for_in_utc_and_rounded_outwards() -> None:
    india = timezone(timedelta(hours=5, minutes=30))
    request = ask(Window(SINCE.astimezone(india), SINCE + timedelta(hours=1)))
    assert request.params["start"] == "2026-11-20 21:58:03"
    assert request.params["end"] == "2026-11-20 22:58:04"


def test_an_end_never_goes_without_a_start() -> None:
    request = ask(Window(until=SINCE))
    assert request.params["start"] == "1970-01-01 00:00:00"
    assert "end" not in ask(Window(since=SINCE)).params


def test_more_rows_than_one_answer_holds_are_not_asked_for() -> None:
    assert ask(Window(limit=20_000)).params["results"] == "8000"


def test_the_key_travels_in_a_header_and_is_never_shown() -> None:
    request = ask(Window(), key=KEY)
    assert request.headers["THINGSPEAKAPIKEY"] == KEY
    assert "THINGSPEAKAPIKEY" not in ask(Window()).headers
    assert KEY not in request.url + str(request.params)
    assert KEY not in repr(request)
    assert KEY not in repr(ThingSpeakConfig("https://api.thingspeak.com", 9, KEY))


@pytest.mark.parametrize("key", ["ZX81\nX-Other: 1", "key with blanks", "schlüssel"])
def test_a_key_that_cannot_be_one_is_refused_without_quoting_it(key: str) -> None:
    with pytest.raises(SourceError) as caught:
        ask(Window(), key=key)
    assert caught.value.kind is Kind.CREDENTIAL
    assert caught.value.permanent
    assert key not in str(caught.value)


@pytest.mark.parametrize(
    "base",
    ["api.thingspeak.com", "ftp://api.thingspeak.com", "https://", "https://me:pw@example.com",
     "https://example.com/?api_key=ABC", "http://[::1", "http://example.com:99999"],
)  # fmt: skip
def test_addresses_that_cannot_be_asked_or_carry_secrets_are_refused(base: str) -> None:
    with pytest.raises(SourceError) as caught:
        ThingSpeakConfig(base, 9)
    assert caught.value.kind is Kind.ADDRESS_REFUSED
    assert "pw" not in str(caught.value)


def test_windows_without_meaning_are_refused() -> None:
    for wrong in (
        {"limit": 0},
        {"since": SINCE.replace(tzinfo=None)},
        {"since": SINCE, "until": SINCE - timedelta(seconds=1)},
    ):
        with pytest.raises(ValueError, match="window"):
            Window(**wrong)
