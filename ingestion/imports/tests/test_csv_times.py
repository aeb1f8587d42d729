"""Times in exports: read when they name one instant beyond doubt, else refused with what to do."""

# ruff: noqa: DTZ001 - Hypothesis takes naive bounds and gets its zone afterwards

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ingestion.entries import Reason
from ingestion.imports.tests.files import reasons, rows_of, times
from ingestion.imports.times import (
    FORMS,
    ZONE_WORDS,
    Moment,
    NoMoment,
    TimeRules,
    forms_that_read,
    read_export_time,
)

LONDON = "Europe/London"


@pytest.mark.parametrize(
    ("written", "instant", "zone"),
    [
        ("2018-11-06 17:53:46 UTC", "2018-11-06 17:53:46", "UTC"),
        ("2023-05-07T16:54:40+00:00", "2023-05-07 16:54:40", "+00:00"),
        ("2023-10-30T18:46:26+05:30", "2023-10-30 13:16:26", "+05:30"),
        ("2022-10-26T08:27:51-03:00", "2022-10-26 11:27:51", "-03:00"),
        ("2016-11-22 07:20:00 -0500", "2016-11-22 12:20:00", "-05:00"),
        ("2023-11-17 13:23:27+00:00", "2023-11-17 13:23:27", "+00:00"),
        ("2020-11-19 10:25:05 CAT", "2020-11-19 08:25:05", "CAT"),
        ("2020-11-19 10:25:05 cest", "2020-11-19 08:25:05", "CEST"),
        ("2026-11-20T21:58:00Z", "2026-11-20 21:58:00", "UTC"),
        ("  2026-11-20T21:58Z ", "2026-11-20 21:58:00", "UTC"),
    ],
)
def test_times_that_name_their_zone(written: str, instant: str, zone: str) -> None:
    (row,) = rows_of(f"{written},1,5,6")
    assert (times([row]), row.zone) == ([instant], zone)


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("2023-07-09T14:14", "no_zone"),
        ("2023-07-09 14:14:00 IST", "unknown_zone"),
        ("2023-07-09 14:14:00 CST", "unknown_zone"),
        ("2023-07-09 14:14:00 EST", "unknown_zone"),
        ("26/09/2023 22:28:44+00:00", "unreadable_time"),
        ("28:44.0", "unreadable_time"),
        ("45195.93662", "unreadable_time"),
        ("2023-02-30 10:00:00 UTC", "unreadable_time"),
        ("1969-12-31T23:59:59Z", "before_1970"),
        ("", "unreadable_time"),
    ],
)
def test_what_would_need_a_guess_is_refused(written: str, reason: str) -> None:
    (row,) = rows_of(f"{written},1,5,6")
    assert row.entry is None
    assert reasons([row]) == {reason: 1}


def test_a_lost_hour_is_told_from_other_mistakes() -> None:
    (row,) = rows_of("28:44.0,1,5,6")
    assert "has lost its date and hour" in row.refusals[0].detail


def test_naive_times_are_read_in_the_zone_that_a_person_chose() -> None:
    lines = ["2023-07-09T14:14,1,5,6", "2023-01-09 14:14:05,2,5,6"]
    assert times(rows_of(*lines)) == [None, None]
    found = rows_of(*lines, zone=LONDON)
    assert times(found) == ["2023-07-09 13:14:00", "2023-01-09 14:14:05"]
    assert [row.seconds for row in found] == [False, True]
    # A zone that the row names itself is never overruled.
    assert times(rows_of("2023-07-09T14:14:00+05:30,1,5,6", zone=LONDON)) == ["2023-07-09 08:44:00"]


def test_local_times_at_a_change_of_the_clock_are_refused_not_guessed() -> None:
    found = rows_of(
        "2023-03-26 00:59:59,1,5,6", "2023-03-26 01:30:00,2,5,6", "2023-03-26 02:00:00,3,5,6",
        "2023-10-29 00:59:59,4,5,6", "2023-10-29 01:30:00,5,5,6", "2023-10-29 02:00:00,6,5,6",
        zone=LONDON,
    )  # fmt: skip
    assert times(found) == [
        "2023-03-26 00:59:59", None, "2023-03-26 01:00:00",
        "2023-10-28 23:59:59", None, "2023-10-29 02:00:00",
    ]  # fmt: skip
    assert reasons(found) == {"nonexistent_time": 1, "ambiguous_time": 1}


def test_the_chosen_zone_says_what_a_zone_word_means() -> None:
    line = "2023-07-09 14:14:00 IST,1,5,6"
    assert times(rows_of(line, zone="Asia/Kolkata")) == ["2023-07-09 08:44:00"]
    assert times(rows_of(line, zone="Asia/Jerusalem")) == [None]  # there it is IDT in July
    # The word resolves what the local time alone could not.
    twice = ["2023-10-29 01:30:00 BST,1,5,6", "2023-10-29 01:30:00 GMT,2,5,6"]
    assert times(rows_of(*twice, zone=LONDON)) == ["2023-10-29 00:30:00", "2023-10-29 01:30:00"]


@pytest.mark.parametrize(
    ("form", "written", "instant"),
    [
        ("dmy", "26/09/2023 22:28:44+00:00", "2023-09-26 22:28:44"),
        ("dmy", "5/10/2023 7:05 UTC", "2023-10-05 07:05:00"),
        ("dmy", "26.09.2023 22:28:44 +0200", "2023-09-26 20:28:44"),
        ("mdy", "5/10/2023 7:05:00 PM UTC", "2023-05-10 19:05:00"),
        ("mdy", "5/10/2023 12:05 AM UTC", "2023-05-10 00:05:00"),
        ("ymd", "2023/9/26 22:28:44 UTC", "2023-09-26 22:28:44"),
        ("dmy2", "26/09/23 22:28 UTC", "2023-09-26 22:28:00"),
        ("epoch", "1695767324", "2023-09-26 22:28:44"),
        ("epoch", "1695767324123", "2023-09-26 22:28:44"),
        ("dmy", "2023-09-26T22:28:44Z", "2023-09-26 22:28:44"),  # ISO stays ISO
    ],
)
def test_rewritten_times_are_read_in_the_form_that_a_person_chose(
    form: str, written: str, instant: str
) -> None:
    assert times(rows_of(f"{written},1,5,6", form=form)) == [instant]


def test_days_of_a_spreadsheet_have_no_zone_of_their_own() -> None:
    line = "45195.936620,1,5,6"
    assert reasons(rows_of(line, form="serial")) == {"no_zone": 1}
    assert times(rows_of(line, form="serial", zone="UTC")) == ["2023-09-26 22:28:44"]


def test_an_impossible_hour_stays_impossible() -> None:
    for written in ("26/09/2023 13:00 pm UTC", "26/09/2023 0:30 am UTC", "26/13/2023 10:00 UTC"):
        assert times(rows_of(f"{written},1,5,6", form="dmy")) == [None]


@pytest.mark.parametrize(
    ("written", "forms"),
    [
        ("26/09/2023 22:28:44", {"dmy"}),
        ("5/10/2023 22:28", {"dmy", "mdy"}),
        ("9/26/2023 22:28", {"mdy"}),
        ("2023/9/26 22:28", {"ymd"}),
        ("05-10-23 1:02", {"dmy2", "mdy2"}),
        ("45195.5", {"serial"}),
        ("yesterday", set()),
    ],
)
def test_which_forms_could_be_meant(written: str, forms: set[str]) -> None:
    assert forms_that_read(written) == forms


def test_zone_words_mean_one_offset_everywhere_since_1990() -> None:
    """The table is compared with every zone of the database, every few days of 35 years."""
    meant: dict[str, set[int]] = {word: set() for word in ZONE_WORDS}
    days = [datetime(1990, 1, 1, tzinfo=UTC) + timedelta(days=27 * n) for n in range(480)]
    for name in available_timezones():
        if name.startswith("Etc/"):
            continue
        zone = ZoneInfo(name)
        for day in days:
            there = day.astimezone(zone)
            word, offset = there.tzname(), there.utcoffset()
            if word in meant and offset is not None:
                meant[word].add(round(offset.total_seconds() / 60))
    known = {word: offsets for word, offsets in meant.items() if offsets}
    assert known == {word: {ZONE_WORDS[word]} for word in known}
    assert len(known) > 20


ZONES = st.sampled_from(
    ["Asia/Kolkata", LONDON, "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "UTC"]
)
INSTANTS = st.datetimes(datetime(1995, 1, 1), datetime(2035, 1, 1)).map(
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)


@given(INSTANTS, ZONES)
def test_a_naive_time_gives_back_its_instant_or_a_reason(at: datetime, name: str) -> None:
    zone = ZoneInfo(name)
    there = at.astimezone(zone)
    found = read_export_time(f"{there:%Y-%m-%d %H:%M:%S}", TimeRules(zone))
    if isinstance(found, Moment):
        assert found.at == at
        return
    other = there.replace(fold=1 - there.fold)
    assert found.reason is Reason.AMBIGUOUS_TIME
    assert other.utcoffset() != there.utcoffset()


@given(INSTANTS, ZONES, st.sampled_from(["dmy", "mdy", "ymd"]))
def test_a_rewritten_time_gives_back_its_instant(at: datetime, name: str, form: str) -> None:
    there = at.astimezone(ZoneInfo(name))
    offset = there.utcoffset() or timedelta()
    assume(offset.total_seconds() % 60 == 0)
    parts = {"d": f"{there.day}", "m": f"{there.month}", "y": f"{there.year}"}
    written = f"{'/'.join(parts[one] for one in form)} {there:%H:%M:%S%z}"
    found = read_export_time(written, TimeRules(form=FORMS[form]))
    assert isinstance(found, Moment)
    assert found.at == at


@given(st.text(max_size=40), ZONES, st.sampled_from(["", *FORMS]))
def test_no_text_whatever_is_more_than_refused(text: str, name: str, form: str) -> None:
    rules = TimeRules(ZoneInfo(name), FORMS.get(form))
    found = read_export_time(text, rules)
    assert isinstance(found, Moment | NoMoment)
    if isinstance(found, NoMoment):
        assert len(found.detail) > 40
