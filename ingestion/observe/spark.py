"""The last hour of an account as a picture: a bar a minute, coloured by who is at fault. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ingestion.observe.counts import Counts, Tone
from ingestion.observe.outages import Outage
from ingestion.observe.phrases import plural

STEP, BAR, HEIGHT = 4, 3, 44
"""Units of the picture: width of a minute, of its bar, and height of the highest one."""
_ORDER = (Tone.ANSWERED, Tone.THROTTLED, Tone.SOURCE, Tone.UPSTREAM)
_WORDS = {
    Tone.THROTTLED: "throttled",
    Tone.SOURCE: "refused for a source",
    Tone.UPSTREAM: "without an answer of the provider",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of a minute's bar; y counts from the top."""

    tone: str
    x: int
    y: float
    height: float


@dataclass(frozen=True, slots=True)
class Minute:
    """A bar with what it says."""

    title: str
    x: int
    pieces: tuple[Piece, ...]


@dataclass(frozen=True, slots=True)
class Band:
    """A time: one during which the provider was down, or since when it is known."""

    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Picture:
    """The whole: `most` requests in one minute are the full height; `words` say the same.

    `known`: the part since the account was first asked.
    """

    width: int
    height: int
    minutes: tuple[Minute, ...]
    bands: tuple[Band, ...]
    known: Band
    most: int
    words: str


def picture(
    minutes: Sequence[Counts],
    outages: Iterable[Outage],
    end: datetime,
    asked_since: datetime | None,
) -> Picture:
    """The minutes, oldest first, of which the last one ends at `end`."""
    most = max((one.requests for one in minutes), default=0)
    begin = end - timedelta(minutes=len(minutes))
    parts = [part for one in outages if (part := one.within(begin, end))]
    requests, failed = sum(one.requests for one in minutes), sum(one.failed for one in minutes)
    words = f"{plural(requests, 'request')} in the last hour"
    return Picture(
        width=STEP * len(minutes),
        height=HEIGHT,
        minutes=tuple(
            Minute(
                _title(begin + timedelta(minutes=place), one),
                STEP * place,
                _pieces(place, one, most),
            )
            for place, one in enumerate(minutes)
        ),
        bands=tuple(Band(_x(since, begin), _x(until, since)) for since, until in parts),
        known=_known(asked_since, begin, end),
        most=most,
        words=f"{words}, {failed:,} failed" if failed else words,
    )


def _known(since: datetime | None, begin: datetime, end: datetime) -> Band:
    first = end if since is None else min(max(since, begin), end)
    return Band(_x(first, begin), _x(end, first))


def _x(at: datetime, begin: datetime) -> float:
    return round((at - begin).total_seconds() / 60 * STEP, 1)


def _pieces(place: int, counts: Counts, most: int) -> tuple[Piece, ...]:
    tones, pieces, top = counts.tones, [], float(HEIGHT)
    for tone in _ORDER:
        number = tones.get(tone, 0)
        if number:
            # What failed must be seen beside hundreds that did not.
            height = max(number / most * HEIGHT, 2.0)
            top = max(top - height, 0.0)
            pieces.append(Piece(tone, STEP * place, round(top, 2), round(height, 2)))
    return tuple(pieces)


def _title(at: datetime, counts: Counts) -> str:
    parts = [f"{at:%H:%M} UTC: {plural(counts.requests, 'request')}"]
    parts += [
        f"{counts.tones[tone]:,} {words}"
        for tone, words in _WORDS.items()
        if counts.tones.get(tone)
    ]
    return ", ".join(parts)
