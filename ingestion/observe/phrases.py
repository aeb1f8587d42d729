"""How numbers are said to people. Pure."""

from __future__ import annotations

from devices.phrases import plural

__all__ = ["number", "percent", "plural", "span"]

_UNITS = (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1))


def span(seconds: float) -> str:
    """A length of time in its two largest units: «2 h 5 min», «40 s», «0 s»."""
    left = max(round(seconds), 0)
    parts: list[str] = []
    for name, size in _UNITS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {name}")
        elif parts:
            break
        left %= size
    return " ".join(parts) or "0 s"


def pace(seconds: float) -> str:
    """How far apart things come: as `span`, but «1.5 s», as that is a half more than «1 s»."""
    return f"{number(seconds, 2)} s" if 0 < seconds < 9.95 else span(seconds)


def number(value: float, digits: int = 3) -> str:
    """A number with so many significant digits, without an exponent: «4», «3.93», «12,000»."""
    rounded = float(f"{value:.{digits}g}")
    text = f"{rounded:,.6f}".rstrip("0").rstrip(".")
    return text or "0"


def percent(share: float | None) -> str:
    """A share in percent. Never rounded up to 100 % or down to 0 %: «99.98 %», «under 0.1 %»."""
    if share is None:
        return "–"
    if 0 < share < 0.001:
        return "under 0.1 %"
    value = min(share * 100, 99.99) if share < 1 else share * 100
    return f"{number(value, 4 if value > 99 else 3)} %"
