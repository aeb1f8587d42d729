"""The kinds of sources that are asked: one line each."""

from __future__ import annotations

from typing import Any

from ingestion.sources.base import PollingAdapter
from ingestion.sources.thingspeak import ThingSpeak

ADAPTERS: dict[str, PollingAdapter[Any]] = {
    "thingspeak": ThingSpeak(),
}
