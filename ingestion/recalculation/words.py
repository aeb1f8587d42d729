"""What a recalculation came to, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from devices.phrases import plural


def told(report: Mapping[str, Any]) -> str:
    """The report in one or two sentences. Nothing that could not be done goes unsaid."""
    entries = report["recomputed"]
    parts = [
        f"{report[name]:,} {word}"
        for name, word in (("changed", "changed"), ("new", "new"), ("removed", "removed"))
        if report[name]
    ]
    refused = sum(report["refused"].values())
    if refused:
        parts.append(f"{refused:,} refused")
    text = f"{plural(entries, 'entry', 'entries')} recalculated: "
    text += f"{', '.join(parts)}." if parts else "nothing differs."
    return " ".join([text, *_left(report)])


def _left(report: Mapping[str, Any]) -> list[str]:
    """What stays as it was, and why."""
    said = []
    lost, too_old = report["not_recomputed"], report["too_old"]
    if lost:
        before = report["received_from"]
        since = f" before {datetime.fromisoformat(before):%Y-%m-%d %H:%M} UTC" if before else ""
        stay = "stays as it was" if lost == 1 else "stay as they were"
        said.append(
            f"{plural(lost, 'older value')}{since} {stay}: what was received then is no longer "
            "kept."
        )
    if too_old:
        values = plural(too_old, "value is", "values are")
        said.append(f"{values} older than the readings that are kept.")
    said += report["left_out"]
    return said
