"""What a site is to poll: accounts, channels, how often. Plain values that go through a pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

CRITICAL, HIGH, NORMAL, LOW = range(4)


@dataclass(frozen=True)
class Polled:
    """A channel as the site is told to poll it."""

    channel: int
    interval_s: int = 5
    priority: int = NORMAL
    read_key: str = ""
    fields: tuple[str, ...] = ("field1", "field2")


@dataclass(frozen=True)
class Account:
    """A connection with its channels; `settings` are fields of the model Connection."""

    name: str
    channels: Sequence[Polled]
    settings: Mapping[str, Any] = field(default_factory=dict)


def to_json(accounts: Sequence[Account]) -> str:
    """The plan as text."""
    return json.dumps([asdict(account) for account in accounts])


def from_json(text: str) -> list[Account]:
    """The plan of that text."""
    return [
        Account(
            one["name"],
            [Polled(**{**each, "fields": tuple(each["fields"])}) for each in one["channels"]],
            one["settings"],
        )
        for one in json.loads(text)
    ]
