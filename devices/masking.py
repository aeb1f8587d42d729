"""What arrived from elsewhere, made fit to keep and to show: keys masked, length bounded. Pure."""

from __future__ import annotations

import json
import re
from typing import Any

RAW_LENGTH = 255
"""Characters kept of a refused value."""

MASK = "****"
UNREADABLE = "\N{REPLACEMENT CHARACTER}"
"""What stands where a character cannot be read, or not be kept."""
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
    return fit(masked)[:RAW_LENGTH]


def fit(text: str) -> str:
    """The text as every database takes it: a NUL and half a surrogate pair become U+FFFD."""
    return _UNSTORABLE.sub(UNREADABLE, text)


def fit_document(document: Any) -> Any:
    """A document of JSON whose texts and names are `fit`."""
    if isinstance(document, str):
        return fit(document)
    if isinstance(document, dict):
        return {fit(name): fit_document(one) for name, one in document.items()}
    return [fit_document(one) for one in document] if isinstance(document, list) else document
