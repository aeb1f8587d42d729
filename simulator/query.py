"""The parameters of a read request, with the meaning ThingSpeak gives them (facts, "Parameters of
feeds and fields").
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, tzinfo

from simulator.channels import DEFAULT_ROWS, MAX_ROWS
from simulator.times import parse, zone_of

_DAY_S = 86400.0
_PERIODS = {"10", "15", "20", "30", "60", "240", "720", "1440", "daily"}
_AGGREGATES = ("timescale", "sum", "average", "median")


class BadQuery(Exception):
    """A parameter that cannot be understood; the message says which."""


@dataclass(frozen=True, slots=True)
class Window:
    """Which rows are asked for: the newest `limit` between `start` and `end` (epoch seconds,
    inclusive).
    """

    start: float | None
    end: float | None
    limit: int


@dataclass(frozen=True, slots=True)
class View:
    """How rows are to be shown. `field` restricts them to one field number; `decimals` rounds plain
    numbers.
    """

    zone: tzinfo = UTC
    field: int | None = None
    location: bool = False
    status: bool = False
    decimals: int | None = None


PLAIN = View()


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One of timescale, sum, average and median over slots of so many seconds."""

    kind: str
    slot_s: int


def key_of(headers: Mapping[str, str], params: Mapping[str, str]) -> str | None:
    """The key of a request: any header whose name contains THINGSPEAKAPIKEY, else key, api_key or
    apikey.
    """
    for name, value in headers.items():
        if "thingspeakapikey" in name:
            return value
    return params.get("key") or params.get("api_key") or params.get("apikey")


def window_of(params: Mapping[str, str], zone: tzinfo, now: float) -> Window:
    """Rows asked for. Without any of results, days, minutes, start and end: the newest 100, however
    old they are.

    `results` is capped at 8000; `days`, `start` or `end` raise the limit to 8000, `minutes` alone
    does not. `start` and `end` win over `days` and `minutes`; `end` without `start`, period and
    `results` means the day before now.
    """
    results = _whole(params, "results")
    start = _instant(params, "start", zone)
    end = _instant(params, "end", zone)
    minutes, days = _whole(params, "minutes"), _whole(params, "days")
    if start is None and minutes is not None:
        start = now - 60 * minutes
    elif start is None and days is not None:
        start = now - _DAY_S * days
    elif start is None and end is not None and results is None:
        start = now - _DAY_S
    if results is not None:
        limit = min(results, MAX_ROWS)
    else:
        limit = MAX_ROWS if params.keys() & {"days", "start", "end"} else DEFAULT_ROWS
    return Window(start, end, limit)


def view_of(params: Mapping[str, str], field: int | None = None) -> View:
    """How the rows are to be shown; only the word `true` switches location and status on."""
    if not params and field is None:
        return PLAIN
    return View(
        zone=zone_of(params.get("timezone"), params.get("offset")),
        field=field,
        location=params.get("location") == "true",
        status=params.get("status") == "true",
        decimals=_whole(params, "round"),
    )


def aggregate_of(params: Mapping[str, str]) -> Aggregate | None:
    """The aggregation asked for; several: timescale, sum, average, median in that order. Unknown
    periods are ignored.
    """
    for kind in _AGGREGATES:
        period = params.get(kind)
        if period in _PERIODS:
            return Aggregate(kind, 60 * (1440 if period == "daily" else int(period)))
    return None


def bounds_of(params: Mapping[str, str]) -> tuple[float | None, float | None]:
    """The parameters min and max."""
    return _number(params, "min"), _number(params, "max")


def _whole(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name)
    if not text:
        return None
    if not re.fullmatch(r"\d{1,9}", text.strip()):
        raise BadQuery(f"{name} must be a whole number, not {text!r}")
    return int(text)


def _number(params: Mapping[str, str], name: str) -> float | None:
    text = params.get(name)
    if not text:
        return None
    try:
        return float(text)
    except ValueError as error:
        raise BadQuery(f"{name} must be a number, not {text!r}") from error


def _instant(params: Mapping[str, str], name: str, zone: tzinfo) -> float | None:
    text = params.get(name)
    if not text:
        return None
    at = parse(text, zone)
    if at is None:
        raise BadQuery(f"{name} must be YYYY-MM-DD HH:MM:SS, not {text!r}")
    return at
