"""Logging: one line per event, the same error once a minute, secrets masked on the way out."""

from __future__ import annotations

import logging
import math
import re
import time
from collections.abc import Callable
from typing import Any

import structlog

# A key in a URL, a header or a form, as ThingSpeak and its clients write it.
_KEYS = re.compile(
    r"(?i)((?:api_?key|apikey|thingspeakapikey|password|token|secret|authorization)"
    r"[\"']?\s*[=:]\s*[\"']?)([^\s\"'&,;]+)|(?<=[?&])(key=)([^\s\"'&]+)|(://[^/\s:@]*:)([^@/\s]+)(?=@)"
)


def mask(text: str) -> str:
    """Replace whatever looks like a credential in `text` by «***»."""

    def keep_name(match: re.Match[str]) -> str:
        return (match[1] or match[3] or match[5]) + "***"

    return _KEYS.sub(keep_name, text)


class MaskSecrets(logging.Filter):
    """Masks credentials in every record that reaches a handler."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the record's text; never drops a record."""
        if isinstance(record.msg, str):
            record.msg, record.args = mask(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = mask(logging.Formatter().formatException(record.exc_info))
        return True


class TellOnce(logging.Filter):
    """Holds back an error that was told, with the same traceback, less than a minute ago.

    A database that is away fails the clock several times a second: what matters would drown.
    """

    def __init__(self, every_s: float = 60.0, clock: Callable[[], float] = time.monotonic) -> None:
        """Tell the same error again after `every_s` seconds of `clock`."""
        super().__init__()
        self._every_s = every_s
        self._clock = clock
        # When each error was told last, and how often it was held back since.
        self._told: dict[int, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Drop a repetition; the next one that passes says how many were dropped."""
        traceback = _traceback(record)
        if not traceback:
            return True
        what = record.msg.get("event") if isinstance(record.msg, dict) else record.msg
        error = hash((record.name, what, traceback))
        now = self._clock()
        at, held_back = self._told.get(error, (-math.inf, 0))
        if now - at < self._every_s:
            self._told[error] = at, held_back + 1
            return False
        self._told = {
            one: told for one, told in self._told.items() if now - told[0] < self._every_s
        }
        self._told[error] = now, 0
        if held_back:
            _append(record, held_back)
        return True


def _append(record: logging.LogRecord, held_back: int) -> None:
    if isinstance(record.msg, dict):
        record.msg["held_back"] = held_back
    else:
        record.msg, record.args = f"{record.getMessage()} (held back: {held_back})", None


def _traceback(record: logging.LogRecord) -> str:
    """The traceback of a record, whether structlog or the standard library brought it."""
    if isinstance(record.msg, dict):
        return str(record.msg.get("exception", ""))
    if record.exc_info:
        return logging.Formatter().formatException(record.exc_info)
    return ""


def _mask_event(_: Any, __: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    return {name: mask(value) if isinstance(value, str) else value for name, value in event.items()}


_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def configuration(level: str) -> dict[str, Any]:
    """The logging configuration: one masked line per event on standard error."""
    structlog.configure(
        processors=[
            *_SHARED,
            structlog.processors.format_exc_info,
            _mask_event,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "filters": {"once": {"()": TellOnce}, "mask": {"()": MaskSecrets}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": [*_SHARED, structlog.processors.format_exc_info],
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    _mask_event,
                    structlog.processors.KeyValueRenderer(
                        key_order=["timestamp", "level", "event"], drop_missing=True
                    ),
                ],
            }
        },
        "handlers": {
            "console": {
                "class": "logging.StreamHandler",
                "formatter": "line",
                "filters": ["once", "mask"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Celery tells of every task at INFO; a poll a second would drown what matters.
            "celery": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            # Who asks through them tells how it ended.
            "urllib3": {"level": "ERROR"},
            "clickhouse_connect": {"level": "ERROR"},
            "uvicorn.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
