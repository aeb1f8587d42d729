"""Hot state of ingestion, kept apart from what people edit: saving a form never overwrites it."""

from ingestion.models.event import EventKind, SourceEvent
from ingestion.models.gap import Gap, GapState
from ingestion.models.poll_log import Lane, PollLog
from ingestion.models.poll_state import PollState
from ingestion.models.rejection import Rejection
from ingestion.models.slack import STANDARD_SLACK_S, PrioritySlack, slacks

__all__ = [
    "STANDARD_SLACK_S",
    "EventKind",
    "Gap",
    "GapState",
    "Lane",
    "PollLog",
    "PollState",
    "PrioritySlack",
    "Rejection",
    "SourceEvent",
    "slacks",
]
