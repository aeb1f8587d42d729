"""Hot state of ingestion, kept apart from what people edit: saving a form never overwrites it."""

from ingestion.models.connection_hour import (
    ConnectionHour,
    ConnectionMinute,
    CountedUntil,
    Status,
)
from ingestion.models.event import EventKind, SourceEvent
from ingestion.models.field_profile import FieldProfile
from ingestion.models.former_field import FormerField
from ingestion.models.gap import UNREAD, Gap, GapReason, GapState
from ingestion.models.imported import Import, ImportChunk, ImportWay
from ingestion.models.ledger import EntryLedger, SourceDay
from ingestion.models.mapping_pause import MappingPause, PauseKind, Resolution
from ingestion.models.poll_log import Lane, PollLog
from ingestion.models.poll_state import PollState
from ingestion.models.rejection import Rejection

__all__ = [
    "UNREAD",
    "ConnectionHour",
    "ConnectionMinute",
    "CountedUntil",
    "EntryLedger",
    "EventKind",
    "FieldProfile",
    "FormerField",
    "Gap",
    "GapReason",
    "GapState",
    "Import",
    "ImportChunk",
    "ImportWay",
    "Lane",
    "MappingPause",
    "PauseKind",
    "PollLog",
    "PollState",
    "Rejection",
    "Resolution",
    "SourceDay",
    "SourceEvent",
    "Status",
]
