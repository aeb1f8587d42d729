"""Asking a channel once, for a person: through the gate, with every ending in plain words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from devices.models import ThingSpeakChannel
from ingestion.entries import Entry
from ingestion.polling import Asked, Equipment
from ingestion.resilience.classify import Kind
from ingestion.resilience.freshcache import StillFetching
from ingestion.resilience.gate import GateUnavailable
from ingestion.sources.base import Facts, Fetched
from ingestion.verify.confirming import metrics_known_to, with_mappings
from ingestion.verify.proposals import Proposal, propose_mappings
from ingestion.verify.remembering import Remembered, ask_once

OLD = timedelta(days=1)
"""From here on the last entry is called old."""

AHEAD = timedelta(minutes=10)
"""Entries further ahead of our clock cannot be measurements."""


class Severity(StrEnum):
    """How a verification ended, for its colour on the page."""

    GOOD = "good"
    WARNING = "warning"
    BAD = "bad"


@dataclass(frozen=True, slots=True)
class Verification:
    """What a channel answered. `where` names the form field that a mistake should be mended in."""

    severity: Severity
    message: str
    name: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)
    entries: Sequence[Entry] = ()
    proposals: Sequence[Proposal] = ()
    where: str = ""
    facts: Facts | None = None
    stale: bool = False
    """Whether what is shown was said by an earlier answer, because this time none came."""

    @property
    def last(self) -> Entry | None:
        """The newest entry, if there is any."""
        return max(self.entries, key=lambda one: (one.at, one.sequence), default=None)


_WHERE = {
    Kind.CREDENTIAL: "read_key",
    Kind.NOT_FOUND: "channel_id",
    Kind.NAME: "connection",
    Kind.CONNECT: "connection",
    Kind.TLS: "connection",
    Kind.REDIRECTED: "connection",
    Kind.NOT_THE_API: "connection",
    Kind.ADDRESS_REFUSED: "connection",
}
_NO_GATE = (
    "Nothing was asked: Redis, which keeps the request budget, does not answer. Start Redis, or "
    "check REDIS_URL, then press Verify again."
)
_PRIVATE = (
    "ThingSpeak does not show this channel without a key: it is private. Enter the read key from "
    "the channel's “API Keys” page."
)
_NO_ENTRIES = (
    "The channel exists, but has no entries yet. Mappings can be made from its labels now; "
    "readings appear as soon as the device uploads."
)


def verify_channel(channel: ThingSpeakChannel, equipment: Equipment, now: datetime) -> Verification:
    """Ask a channel, saved or not, for its last entries and propose mappings.

    It needs a saved connection and a channel number; a device, if already chosen, lends its
    metrics. Stores nothing and never raises for what provider, network or Redis do.
    """
    channel.kind = channel.KIND
    try:
        heard = ask_once(channel, equipment)
    except GateUnavailable:
        return Verification(Severity.BAD, _NO_GATE)
    except StillFetching as error:
        return Verification(Severity.WARNING, str(error))
    if heard.fetched is None:
        return _refused(channel, heard.asked)
    found = _answered(channel, heard.fetched, now)
    return _dated(found, channel, heard, now)


def _dated(
    found: Verification, channel: ThingSpeakChannel, heard: Remembered, now: datetime
) -> Verification:
    """The same, saying how old the answer is where it is not of this moment."""
    age = max(round((now - heard.at).total_seconds()), 0) if heard.at else 0
    if heard.asked.fetched is not None:
        return found
    if heard.failed:
        refused = _refused(channel, heard.asked)
        text = f"{refused.message} Shown is what the channel said {age} s ago."
        return replace(found, severity=Severity.BAD, message=text, where=refused.where, stale=True)
    text = f"{found.message} (It said so {age} s ago; it was not asked again.)"
    return replace(found, message=text, stale=heard.stale)


def _refused(channel: ThingSpeakChannel, asked: Asked) -> Verification:
    message = asked.message
    if asked.kind is Kind.CREDENTIAL and not _has_key(channel):
        message = _PRIVATE
    elif asked.wait_s:
        message = f"{message} Try again in {max(round(asked.wait_s), 1)} s."
    where = _WHERE.get(asked.kind, "")
    if asked.kind is Kind.OURS:
        where = "connection" if channel.read_key.readable else "read_key"
    return Verification(Severity.BAD, message, where=where)


def _has_key(channel: ThingSpeakChannel) -> bool:
    return bool(channel.read_key or channel.connection.account_key)


def _answered(channel: ThingSpeakChannel, fetched: Fetched, now: datetime) -> Verification:
    facts = fetched.facts
    labels = dict(facts.labels) if facts else {}
    entries = [entry for entry in fetched.entries if entry.at <= now + AHEAD]
    proposals = with_mappings(
        channel, propose_mappings(labels, fetched.entries, metrics_known_to(channel))
    )
    found: dict[str, Any] = {
        "name": facts.name if facts else "",
        "labels": labels,
        "entries": entries,
        "proposals": proposals,
        "facts": facts,
    }
    if fetched.empty:
        return Verification(Severity.WARNING, _NO_ENTRIES, **found)
    if not entries:
        return Verification(
            Severity.WARNING,
            "The channel answered, but none of its last entries has a usable time: they lie in "
            "the future or cannot be read. Check the device's clock.",
            **found,
        )
    last = max(entry.at for entry in entries)
    if now - last > OLD:
        days = (now - last).days
        return Verification(
            Severity.WARNING,
            f"The channel answers, but its last entry is {days} day{'s' * (days > 1)} old: the "
            "device seems to have stopped. Mappings can be made all the same.",
            **found,
        )
    return Verification(Severity.GOOD, "The channel answers and its entries are recent.", **found)
