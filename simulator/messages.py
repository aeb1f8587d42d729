"""What passes between the HTTP server and those who answer: requests, answers and the way an answer
is delivered.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

JSON = "application/json; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HTML = "text/html; charset=utf-8"
CSV = "text/csv; charset=utf-8"
XML = "application/xml; charset=utf-8"
SCRIPT = "text/javascript; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """A request: `path` is decoded, `params` are the last values of the query, header names are
    lower case.
    """

    method: str
    target: str
    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Delivery:
    """How the bytes travel: after a delay; cut, reset or dripping."""

    delay_s: float = 0.0
    reset_after: int | None = None
    cut_fraction: float | None = None
    drip: tuple[int, float] | None = None


@dataclass(slots=True)
class Answer:
    """A response. `delivery` None means at once and whole; `sent` is called when it is out or given
    up.
    """

    status: int = 200
    body: bytes = b""
    content_type: str = JSON
    headers: dict[str, str] = field(default_factory=dict)
    delivery: Delivery | None = None
    sent: Callable[[], None] | None = None
