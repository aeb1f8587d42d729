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
from ingestion.models.slack import STANDARD_SLACK_S, PrioritySlack, slacks

__all__ = [
    "STANDARD_SLACK_S",
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
    "PrioritySlack",
    "Rejection",
    "Resolution",
    "SourceDay",
    "SourceEvent",
    "Status",
    "slacks",
]
