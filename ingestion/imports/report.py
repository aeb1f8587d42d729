"""What a check or an import came to, in words: for pages, jobs, the command and the event."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from devices.models import Metric
from devices.phrases import plural
from ingestion.imports.tally import Tally
from ingestion.imports.times import FORMS

NO_MAPPING = (
    "No field of this file feeds a metric: its rows would only be kept as received. Map the "
    "channel's fields first: press Verify on the channel's page."
)


def reason_words(reason: str) -> str:
    """A stored reason for people: «no_zone» is «No zone»."""
    return reason.replace("_", " ").capitalize()


def report(tally: Tally, *, replaced: bool) -> dict[str, Any]:
    """The report of an import, for the job's page: words and numbers."""
    found: dict[str, Any] = {
        "Rows read": tally.rows,
        "First entry (UTC)": moment(tally.first),
        "Last entry (UTC)": moment(tally.last),
        "New readings": tally.new,
        "Already stored": tally.same,
        "Stored with another value": _differing(tally, replaced=replaced),
        "Older than what this site keeps": tally.expired,
        "Refused": {reason_words(one): count for one, count in sorted(tally.refused.items())},
        "Refused, for example": [
            example(one) for rows in tally.examples.values() for one in rows[:2]
        ],
    }
    kept = ("Rows read", "New readings", "Already stored")
    return {name: value for name, value in found.items() if value or name in kept}


def sentence(name: str, tally: Tally) -> str:
    """The report in one sentence, for the source's events."""
    span = f" from {moment(tally.first)} to {moment(tally.last)} UTC" if tally.first else ""
    return (
        f"Imported {name}: {plural(tally.rows, 'row')}{span}; {plural(tally.new, 'reading')} new, "
        f"{tally.same:,} already stored, {tally.differing:,} differing, {tally.refusals:,} refused."
    )


def warnings(found: Mapping[str, Any]) -> list[str]:
    """What somebody should know or decide before importing; each says what to do."""
    tally = Tally.of(found["tally"])
    return [
        *_about_times(tally),
        *_about_columns(found, tally),
        *_about_readings(tally, replace=bool(found["choices"]["replace"])),
    ]


def _about_times(tally: Tally) -> list[str]:
    said = []
    without = tally.refused.get("no_zone", 0)
    if without:
        said.append(
            f"{plural(without, 'time says', 'times say')} no time zone. Choose the zone in which "
            "the file was written; without it such rows are refused."
        )
    if tally.refused.get("unknown_zone"):
        words = ", ".join(zone for zone in tally.zones if zone.isalpha() and zone != "none")
        said.append(
            f"The zone word {words} means different hours in different countries. Choose the "
            "file's zone: the word is then read as that zone means it."
        )
    if tally.unread_times:
        said.append(_about_forms(tally))
    if tally.without_seconds:
        one = "time has lost its seconds; it is read"
        many = "times have lost their seconds; they are read"
        said.append(f"{plural(tally.without_seconds, one, many)} as the full minute.")
    return said


def _about_forms(tally: Tally) -> str:
    count = f"{plural(tally.unread_times, 'time')} cannot be read as written."
    fitting = [FORMS[key].label for key in tally.forms or () if key in FORMS]
    if len(fitting) == 1:
        return f"{count} All of them can be read as {fitting[0]}: choose this form if it is right."
    if fitting:
        return (
            f"{count} They could be read in more than one way, which give different days: "
            f"{'; '.join(fitting)}. Choose the one in which the file was written."
        )
    return (
        f"{count} No known form reads all of them: export the channel from ThingSpeak again and "
        "upload that file untouched."
    )


def _about_columns(found: Mapping[str, Any], tally: Tally) -> list[str]:
    said = []
    waiting = [
        found["names"][int(place)]
        for place in found["proposed"]
        if place not in found["choices"]["columns"]
    ]
    if waiting:
        said.append(
            f"Columns were renamed: {', '.join(waiting)}. Say below which field each of them is, "
            "or that it is to be left out."
        )
    by_place = [
        f"“{found['names'][int(place)]}” as {field}"
        for place, (field, why) in found["proposed"].items()
        if why == "place" and found["choices"]["columns"].get(place) == field
    ]
    if by_place:
        said.append(
            f"Columns are read by their place alone: {', '.join(by_place)}. Nothing in their names "
            "says so: compare what becomes of each before you import."
        )
    if not found["numbered"]:
        said.append(
            "The file has no entry numbers (no column entry_id): its rows are told apart by their "
            "time alone, and rows that this site has with a number would be stored a second time."
        )
    elif tally.unnumbered:
        said.append(
            f"{plural(tally.unnumbered, 'row has', 'rows have')} no entry number. Such rows are "
            "told apart by their time alone."
        )
    return said


def _about_readings(tally: Tally, *, replace: bool) -> list[str]:
    said = []
    if tally.entries and tally.unmapped == tally.entries:
        said.append(NO_MAPPING)
    if tally.differing:
        becomes = "would be replaced" if replace else "stays as it is"
        said.append(
            f"{plural(tally.differing, 'reading is', 'readings are')} stored with another value; "
            f"what is stored {becomes}."
        )
    if tally.expired:
        said.append(
            f"{plural(tally.expired, 'reading is', 'readings are')} older than what this site "
            "keeps and would not be taken. Lengthen the retention of readings first."
        )
    commas = tally.refused.get("decimal_comma", 0)
    if commas:
        said.append(
            f"{plural(commas, 'value has', 'values have')} a decimal comma. If a spreadsheet wrote "
            "it, tick “Decimal "
            "commas were written by a spreadsheet”; if the device does, set it in the mapping."
        )
    return said


def _differing(tally: Tally, *, replaced: bool) -> str:
    if not tally.differing:
        return ""
    return f"{tally.differing:,}, {'replaced' if replaced else 'left as they were'}"


def example(one: Mapping[str, Any]) -> str:
    """A refused row or value: where, what stood there, why."""
    where = f"Row {one['row']:,}" + (f", {one['field']}" if one.get("field") else "")
    return f"{where}: “{one['raw']}”. {one['detail']}"


def moment(at: datetime | None) -> str:
    """A time for people, UTC."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def ranges(tally: Tally) -> dict[str, str]:
    """Of each metric that got numbers: «245 to 312 cm (8,000)», to find wrong units by."""
    metrics = Metric.objects.in_bulk([int(one) for one in tally.ranges])
    said = {}
    for key, (count, low, high) in tally.ranges.items():
        metric = metrics.get(int(key))
        if metric is not None:
            span = f"{low:.10g} to {high:.10g} {metric.unit}".rstrip()
            said[metric.name] = f"{span} ({plural(int(count), 'value')})"
    return said
