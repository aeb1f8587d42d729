"""What arrived from elsewhere, made fit to keep and to show: keys masked, length bounded. Pure."""

from __future__ import annotations

import json
import re

RAW_LENGTH = 255
"""Characters kept of a refused value."""

MASK = "****"
_KEYED = re.compile(r"(?i)(key[\"'\\]*\s*(?:=|:|%3d)\s*[\"'\\]*)[^&\s\"'\\<>,;]+")
_BARE_KEY = re.compile(r"(?<![0-9A-Za-z])(?=[0-9]*[A-Z])(?=[A-Z]*[0-9])[0-9A-Z]{16}(?![0-9A-Za-z])")
_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


def shown(value: object) -> str:
    """What was received, fit to keep and show: text or JSON, keys masked, cut at 255 characters."""
    try:
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    except RecursionError:
        text = "(nested too deeply to show)"
    masked = _BARE_KEY.sub(MASK, _KEYED.sub(rf"\1{MASK}", text[: 4 * RAW_LENGTH]))
    return _UNSTORABLE.sub("\ufffd", masked)[:RAW_LENGTH]
