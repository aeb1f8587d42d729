"""How complete a source's last four weeks are, as a small picture for the admin."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from devices.models import Source
from ingestion.gaps.completeness import days_of
from ingestion.gaps.days import zone_of
from realtime.presenters.completeness import DAYS, Completeness, of_days

_WIDTH, _STEP, _HEIGHT = 8, 10, 32


def completeness_strip(source: Source, now: datetime) -> SafeString | str:
    """A bar for each day with its words as tooltip, and all of them in a sentence."""
    last = now.astimezone(zone_of(source)).date()
    first = last - timedelta(days=DAYS - 1)
    strip = of_days(days_of([source.pk], zone_of(source), first, last, now))
    if strip is None:
        return "nothing counted yet"
    share = "" if strip.percent is None else f"{strip.percent} %"
    return format_html(
        '<span class="completeness-strip"><svg viewBox="0 0 {} {}" role="img" '
        'aria-label="Completeness of the last {} days: {}">{}</svg> '
        "<span><strong>{}</strong> {}</span></span>",
        _STEP * len(strip.days), _HEIGHT, len(strip.days), share, _bars(strip), share, strip.text,
    )  # fmt: skip


def _bars(strip: Completeness) -> SafeString:
    rows: Sequence[tuple[object, ...]] = [
        (
            mark.state, f"{mark.day:%a %d %b}: {mark.text}", place * _STEP, _WIDTH, _HEIGHT,
            place * _STEP, mark.top, _WIDTH, mark.height,
        )
        for place, mark in enumerate(strip.days)
    ]  # fmt: skip
    return format_html_join(
        "",
        '<g data-state="{}"><title>{}</title><rect class="day-ground" x="{}" width="{}" '
        'height="{}"></rect><rect class="day-there" x="{}" y="{}" width="{}" height="{}"></rect>'
        "</g>",
        rows,
    )
