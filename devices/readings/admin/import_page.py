"""What a check found, as the page of an import shows it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from devices.models import Metric
from devices.readings.imports.report import difference, example, moment, reason_words, warnings
from devices.readings.imports.state import names_of
from devices.readings.imports.tally import Tally
from devices.readings.models import ReadingImport

_COUNTS = ("rows", "new", "same", "differing", "expired", "refusals", "empty")


def findings_page(imported: ReadingImport, now: datetime) -> dict[str, Any]:
    """Stored findings, for the template."""
    found = imported.findings
    tally = Tally.of(found["tally"])
    metrics = names_of(tally)
    undecided = any(one["problem"] for one in found["columns"])
    zone = ZoneInfo(imported.device.community.zone)
    return {
        "tally": tally,
        "zone": zone.key,
        "first": tally.first and moment(tally.first.astimezone(zone)),
        "last": tally.last and moment(tally.last.astimezone(zone)),
        "warnings": warnings(found, imported.device, now),
        "columns": _columns(found, tally, metrics),
        "preview": _preview(tally, metrics, zone),
        "refused": [
            {"reason": reason_words(reason), "count": f"{count:,}",
             "examples": [example(one) for one in tally.examples.get(reason, [])]}
            for reason, count in sorted(tally.refused.items(), key=lambda one: -one[1])
        ],
        "differences": [difference(one, metrics, zone) for one in tally.differences],
        "counts": {name: f"{getattr(tally, name):,}" for name in _COUNTS},
        "undecided": undecided,
        "nothing": not tally.readings,
        "settled": not (tally.new or tally.differing),
    }  # fmt: skip


def _columns(
    found: Mapping[str, Any], tally: Tally, metrics: Mapping[int, Metric]
) -> list[dict[str, Any]]:
    """Each column with how many values of it could be read."""
    read = {metric.name: f"{tally.metrics[str(key)]:,}" for key, metric in metrics.items()}
    rows = [{**one, "read": read.get(one["metric"], "0")} for one in found["columns"]]
    return rows + [{"name": name, "left_out": True} for name in found["left_out"]]


def _preview(tally: Tally, metrics: Mapping[int, Metric], zone: ZoneInfo) -> dict[str, Any]:
    """The first rows as they would be stored, in the community's zone."""
    shown = sorted(metrics.values(), key=lambda one: (one.position, one.pk))
    rows = [
        {
            "at": moment(datetime.fromisoformat(row["at"]).astimezone(zone)),
            "sequence": row["sequence"] or "–",
            "cells": [
                {"title": str(one), "text": _cell(row["values"].get(str(one.pk)))} for one in shown
            ],
        }
        for row in tally.preview
    ]
    return {"titles": [str(one) for one in shown], "rows": rows}


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:.12g}" if isinstance(value, float) else str(value)
