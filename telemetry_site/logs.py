"""Logging: one line per event, secrets masked on the way out."""

from __future__ import annotations

import logging
import re
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
        "filters": {"mask": {"()": MaskSecrets}},
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
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
                "filters": ["mask"],
            }
        },
        "root": {"handlers": ["console"], "level": level},
        "loggers": {
            # Celery tells of every task at INFO; a poll a second would drown what matters.
            "celery": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            "httpx": {"level": "WARNING"},
            "urllib3": {"level": "WARNING"},
            "uvicorn.access": {"level": "WARNING"},
            "axes": {"level": "WARNING"},
        },
    }
