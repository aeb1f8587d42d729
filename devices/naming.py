"""From a channel's own label to a metric's canonical name. Pure.

«Water Level (cm)» gives name water_level_cm, label «Water level», unit cm.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from devices import units

_BRACKETS = re.compile(r"[(\[{]\s*([^()\[\]{}]{1,20}?)\s*[)\]}]")
_SUFFIX = re.compile(r"^(?P<rest>.+?)[\s_\-,:/]+(?:in\s+)?(?P<unit>[^\s_]{1,8})$")
_AMBIGUOUS_ALONE = {"a", "c", "f", "h", "k", "l", "m", "s", "v", "w", "in", "min", "units", "pa"}
_NAME_OF_UNIT = {
    "°C": "c", "°F": "f", "%": "percent", "m³": "m3", "m³/h": "m3_per_h", "L/min": "l_per_min",
    "L/s": "l_per_s", "L/h": "l_per_h", "µS/cm": "us_per_cm", "pH": "",
}  # fmt: skip
LONGEST_NAME = 60


class Proposal(NamedTuple):
    """What a label says about the metric behind it."""

    name: str
    label: str
    unit: str


def propose(label: str, fallback: str) -> Proposal:
    """Read name, label and unit out of a source's label; `fallback` names an empty label."""
    text = unicodedata.normalize("NFKC", label).replace("\u00ba", "°").strip()
    rest, unit = _split_unit(text)
    words = _words(rest) or _words(fallback)
    stem = "_".join(words)
    suffix = _NAME_OF_UNIT.get(unit, re.sub(r"[^a-z0-9]+", "_", unit.lower()))
    if suffix and not stem.endswith(f"_{suffix}") and stem != suffix:
        stem = f"{stem}_{suffix}"
    if not stem[0].isalpha():
        stem = f"value_{stem}"
    shown = re.sub(r"[_\s]+", " ", rest).strip(" -:,") or fallback
    return Proposal(stem[:LONGEST_NAME].rstrip("_"), shown[:1].upper() + shown[1:60], unit)


def _split_unit(text: str) -> tuple[str, str]:
    for match in _BRACKETS.finditer(text):
        known = units.canonical(match[1])
        if known is not None:
            return (text[: match.start()] + " " + text[match.end() :]).strip(), known
    last = _SUFFIX.match(text)
    if last and last["unit"].lower() not in _AMBIGUOUS_ALONE:
        known = units.canonical(last["unit"])
        if known is not None and known != "pH":
            return last["rest"].strip(), known
    return text, ""


def _words(text: str) -> list[str]:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z][a-z])", " ", plain)
    return [word.lower() for word in re.findall(r"[A-Za-z0-9]+", spaced)]
