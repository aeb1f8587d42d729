"""Channels in any number and at any cadence, for tests of how a client shares its requests out."""

import re
from collections.abc import Iterator

from simulator.channels import Facts
from simulator.equipment import Equipment, Readings
from simulator.network import ORIGIN, GeneratedChannel
from simulator.noise import drift, uniform
from simulator.times import json_form

FIRST_ID = 800_001
PRIVATE_EVERY = 10
_GROUP = re.compile(r"([1-9]\d{0,4})x([1-9]\d{0,5})")
_LABELS = ("Level (cm)", "Flow (L/min)")


class FleetError(ValueError):
    """A fleet was described wrongly; the message says how."""


def groups_of(text: str) -> list[tuple[int, int]]:
    """`25x10,75x30`: 25 channels with an entry every 10 s, then 75 with one every 30 s."""
    groups = [_GROUP.fullmatch(part.strip()) for part in text.split(",")]
    if not all(groups):
        raise FleetError(f"a fleet is told as 25x10,75x30 (channels x seconds), not {text!r}")
    return [(int(match[1]), int(match[2])) for match in groups if match]


def fleet(text: str) -> Iterator[GeneratedChannel]:
    """The channels of a description, numbered from 800001; each tenth is private."""
    number = FIRST_ID
    for count, cadence_s in groups_of(text):
        for _ in range(count):
            yield _channel(number, cadence_s)
            number += 1


def _channel(number: int, cadence_s: int) -> GeneratedChannel:
    def read(at: float) -> Readings:
        level = 150 + 90 * drift(number, at, 3600)
        return f"{level:.1f}", f"{20 + 15 * drift(number + 7, at, 900):.2f}"

    private = number % PRIVATE_EVERY == 0
    facts = Facts(
        id=number,
        name=f"Fleet {number}",
        labels=dict(enumerate(_LABELS, start=1)),
        created_at=json_form(ORIGIN),
        updated_at=json_form(ORIGIN),
        read_key=f"FLEETREADKEY{number:06}" if private else None,
        notes={"kind": "fleet", "cadence_s": cadence_s},
    )
    meter = Equipment("fleet", _LABELS, read, cadence_s)
    # Entries of different channels do not fall on the same second.
    begins = ORIGIN + int(cadence_s * uniform(number, 0))
    return GeneratedChannel(facts, meter, lambda now: now, begins)
