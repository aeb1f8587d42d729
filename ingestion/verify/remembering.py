"""What a channel said about itself a moment ago: asked once, shown to everybody with its age.

Kept are its facts and, masked and shortened, the last values that mappings are proposed from;
never a key, and never a reading on its way to the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from devices.masking import shown
from devices.models import ThingSpeakChannel
from devices.secrets import SecretUnreadable
from ingestion.entries import Entry, FieldValue, Reason, Refusal
from ingestion.polling import Asked, Equipment, ask
from ingestion.resilience.classify import Kind, Outcome
from ingestion.resilience.freshcache import Fresh, FreshCache, NotFetched
from ingestion.rules import adapter_config
from ingestion.sources.base import Facts, Fetched, SourceError, Window

SAMPLES = 10
"""Entries asked for: enough to guess types from, few enough never to be answered from a cache."""

PATIENCE_S = 5.0
"""How long a person waits for a slot of the request budget."""

_KNOWN = Asked(Kind.OK, Outcome.OK, "")
_TIMES = ("updated_at", "created_at")


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is known of a channel. `asked` is this moment's request, if there was one.

    `fetched` is None when nothing is known at all. `at`: when it was said, None for just now.
    """

    asked: Asked
    fetched: Fetched | None
    at: datetime | None = None
    stale: bool = False

    @property
    def failed(self) -> bool:
        """Whether the channel was asked just now and gave no answer."""
        return self.asked is not _KNOWN and self.asked.fetched is None


class _NoAnswer(NotFetched):
    def __init__(self, asked: Asked) -> None:
        super().__init__(asked.message)
        self.asked = asked


def ask_once(channel: ThingSpeakChannel, equipment: Equipment) -> Remembered:
    """Ask for the last entries, unless it was done a moment ago.

    Raises GateUnavailable when Redis is away, StillFetching when somebody else is asking.
    """
    cache = equipment.facts
    key = _key(channel, cache) if cache is not None else None
    if cache is None or key is None:
        asked = _ask(channel, equipment)
        return Remembered(asked, asked.fetched)
    just_now: list[Asked] = []

    def fetch() -> Any:
        asked = _ask(channel, equipment)
        just_now.append(asked)
        if asked.fetched is None:
            raise _NoAnswer(asked)
        return _as_json(asked.fetched)

    try:
        fresh = cache.get(key, fetch)
    except _NoAnswer as error:
        return Remembered(error.asked, None)
    return _remembered(fresh, just_now)


def _remembered(fresh: Fresh, just_now: list[Asked]) -> Remembered:
    asked = just_now[-1] if just_now else _KNOWN
    fetched = asked.fetched or _from_json(fresh.value)
    return Remembered(asked, fetched, fresh.fetched_at, fresh.stale)


def _ask(channel: ThingSpeakChannel, equipment: Equipment) -> Asked:
    return ask(channel, Window(limit=SAMPLES), equipment, PATIENCE_S)


def _key(channel: ThingSpeakChannel, cache: FreshCache) -> str | None:
    """Another key of the channel is another question: it may have no access."""
    try:
        config = adapter_config(channel)
    except (SecretUnreadable, SourceError):
        return None
    parts = (channel.connection_id, config.base_url, config.channel_id, config.read_key)
    return cache.key("channel", *parts)


def _as_json(fetched: Fetched) -> dict[str, Any]:
    facts = asdict(fetched.facts) if fetched.facts else None
    if facts is not None:
        facts |= {one: facts[one] and facts[one].isoformat() for one in _TIMES}
        facts["labels"] = dict(facts["labels"])
    return {
        "facts": facts,
        "full": fetched.full,
        "refusals": [[one.reason, one.detail] for one in fetched.refusals],
        "entries": [
            [one.at.isoformat(), one.sequence, _masked(one.fields)] for one in fetched.entries
        ],
    }


def _masked(fields: Mapping[str, FieldValue]) -> dict[str, FieldValue]:
    return {name: raw and shown(raw) for name, raw in fields.items()}


def _from_json(stored: Mapping[str, Any]) -> Fetched:
    facts = stored["facts"]
    if facts is not None:
        times = {one: facts[one] and datetime.fromisoformat(facts[one]) for one in _TIMES}
        facts = Facts(**{**facts, **times})
    return Fetched(
        [Entry(datetime.fromisoformat(at), seq, row) for at, seq, row in stored["entries"]],
        [Refusal(Reason(reason), detail) for reason, detail in stored["refusals"]],
        facts,
        stored["full"],
    )
