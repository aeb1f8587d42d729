"""What a check or an import came to, in words: for pages, jobs, the API and the command."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from devices.models import Device, Metric
from devices.phrases import plural
from devices.readings.imports.tally import Tally
from devices.readings.retention import cuts

_UTC = ZoneInfo("UTC")


def reason_words(reason: str) -> str:
    """A stored reason for people: «no_zone» is «No zone»."""
    return reason.replace("_", " ").capitalize()


def report(tally: Tally, *, replaced: bool) -> dict[str, Any]:
    """The report of an import, for the job's page: words and numbers."""
    found: dict[str, Any] = {
        "Rows read": tally.rows,
        "First reading (UTC)": moment(tally.first),
        "Last reading (UTC)": moment(tally.last),
        "New readings": tally.new,
        "Already stored": tally.same,
        "Stored with another value": _differing(tally, replaced=replaced),
        "Older than what this site keeps": tally.expired,
        "Rows without a value": tally.empty,
        "Refused": {reason_words(one): count for one, count in sorted(tally.refused.items())},
        "Refused, for example": [
            example(one) for rows in tally.examples.values() for one in rows[:2]
        ],
    }
    kept = ("Rows read", "New readings", "Already stored")
    return {name: value for name, value in found.items() if value or name in kept}


def warnings(found: Mapping[str, Any], device: Device, now: datetime) -> list[str]:
    """What somebody should know or decide before importing; each says what to do."""
    tally = Tally.of(found["tally"])
    return [
        *_about_columns(found, device),
        *_about_readings(tally, replace=bool(found["choices"]["replace"])),
        *_about_age(tally, device, now),
    ]


def _about_columns(found: Mapping[str, Any], device: Device) -> list[str]:
    said = [f"“{one['name']}”: {one['problem']}" for one in found["columns"] if one["problem"]]
    said += [
        f"{one['name']} is {one['converted']}." for one in found["columns"] if one["converted"]
    ]
    if found["left_out"]:
        said.append(f"Left out: {', '.join(found['left_out'])}.")
    if found["of_uuid"] and found["of_uuid"] != str(device.uuid):
        said.append(
            f"The file is of the device “{found['of_device']}”; its readings go into “{device}”."
        )
    if not found["numbered"]:
        said.append(
            "The file has no entry numbers (no column “Entry number”): its rows are told apart by "
            "their time alone, and rows that this site has with a number would be stored a second "
            "time."
        )
    return said


def _about_readings(tally: Tally, *, replace: bool) -> list[str]:
    said = []
    if tally.differing:
        becomes = "would be replaced" if replace else "stays as it is"
        said.append(
            f"{plural(tally.differing, 'reading is', 'readings are')} stored with another value; "
            f"what is stored {becomes}."
        )
    if tally.backwards:
        said.append(
            "The rows are not in the order of time. They are imported all the same; a reading "
            "that stands in the file twice may be counted twice here."
        )
    return said


def _about_age(tally: Tally, device: Device, now: datetime) -> list[str]:
    said = []
    if tally.expired:
        said.append(
            f"{plural(tally.expired, 'reading is', 'readings are')} older than what this site "
            "keeps and would not be taken. Lengthen the retention of readings first."
        )
    cut = cuts(now).get(device.pk)
    before = cut.readings_before if cut else None
    if tally.new and before is not None and tally.first is not None and tally.first < before:
        said.append(
            f"Readings from before {before:%Y-%m-%d} are dropped again by the retention rules, "
            "once hours, days and months are made of them. To keep them, lengthen the rule first."
        )
    return said


def _differing(tally: Tally, *, replaced: bool) -> str:
    if not tally.differing:
        return ""
    return f"{tally.differing:,}, {'replaced' if replaced else 'left as they were'}"


def example(one: Mapping[str, str]) -> str:
    """A refused row or value: where, what stood there, why."""
    where = one["where"][:1].upper() + one["where"][1:]
    column = f", {one['column']}" if one["column"] else ""
    return f"{where}{column}: “{one['raw']}”. {one['detail']}"


def moment(at: datetime | None) -> str:
    """A time for people, in the zone that it comes in."""
    return f"{at:%Y-%m-%d %H:%M:%S}" if at else ""


def difference(one: Mapping[str, Any], metrics: Mapping[int, Metric], zone: ZoneInfo = _UTC) -> str:
    """A reading that is stored with another value, its time in `zone`."""
    metric = metrics.get(one["metric"])
    name = metric.name if metric else "a metric that was deleted"
    at = moment(datetime.fromisoformat(one["at"]).astimezone(zone))
    return f"{name} at {at} {zone.key}: stored {one['stored']}, in the file {one['file']}"
