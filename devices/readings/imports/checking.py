"""The dry run: reads all of a file, stores nothing, says what an import would do and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any, BinaryIO
from uuid import UUID

from devices.models import Device
from devices.models.device import DeviceQuerySet
from devices.readings.imports.choices import Choices
from devices.readings.imports.columns import Plan, described, plan_of
from devices.readings.imports.judging import Target
from devices.readings.imports.opening import opened
from devices.readings.imports.rows import Content
from devices.readings.imports.stepping import Position, next_portion
from devices.readings.imports.tally import Tally
from devices.readings.imports.text import UnreadableFile

AT_ONCE = 2 * 2**20
"""Bytes of the largest file that is checked while a person waits (a few seconds)."""


def device_of(raw: BinaryIO, mine: DeviceQuerySet) -> Device:
    """The device that a file names, among `mine`. Raises UnreadableFile.

    Whether other people have a device of that number is not told.
    """
    with opened(raw) as content:
        facts = content.heading.facts
    written = facts.get("device_uuid", "")
    try:
        found = mine.filter(uuid=UUID(written)).select_related("community").first()
    except ValueError:
        raise UnreadableFile(
            "The file does not say which device it is of (CSV never does). Choose the device."
        ) from None
    if found is None:
        raise UnreadableFile(
            f"The file is of the device “{facts.get('device', '')}” ({written}), which is none "
            "of those that you operate here. Choose the device that its readings go into."
        )
    return found


def check_file(raw: BinaryIO, device: Device, choices: Choices, now: datetime) -> dict[str, Any]:
    """Findings of a whole file, as JSON. Raises UnreadableFile."""
    position = Position()
    with opened(raw, choices.encoding) as content:
        plan = plan_of(content.heading, device, choices.columns)
        target = Target.of(device, plan, replace=choices.replace)
        while not position.ended:
            next_portion(content, position, target, now)
        return findings(content, plan, choices, position.tally, now)


def findings(
    content: Content, plan: Plan, choices: Choices, tally: Tally, now: datetime
) -> dict[str, Any]:
    """What a finished tally says about a file, with its columns."""
    facts = content.heading.facts
    return {
        "tally": tally.as_json(),
        "choices": choices.as_json(),
        "form": content.heading.form,
        "columns": [described(one) for one in plan.columns],
        "left_out": list(plan.left_out),
        "numbered": plan.entry is not None,
        "of_device": facts.get("device", ""),
        "of_uuid": facts.get("device_uuid", ""),
        "checked_at": now.isoformat(),
    }


def refuse_undecided(plan: Plan) -> None:
    """Raise UnreadableFile for a plan by which nothing can be imported yet."""
    waiting = plan.undecided
    if waiting:
        said = " ".join(f"“{one.name}”: {one.problem}" for one in waiting[:5])
        raise UnreadableFile(f"It is not clear what some columns are. {said}")
    if not plan.usable:
        raise UnreadableFile("No column of the file is a metric of the device.")
