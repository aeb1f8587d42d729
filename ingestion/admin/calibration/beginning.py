"""The box that says from when a calibration holds: now, always, or a time of the community."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone

from devices.admin import skin

NOW, ALWAYS, FROM = "now", "always", "from"
_WRITTEN = "%Y-%m-%dT%H:%M"
_CHOICES = [(NOW, "From now on"), (FROM, "From this time on:"), (ALWAYS, "Since always")]


class _Local(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        attrs = {"class": skin.TextInput().attrs.get("class", ""), "aria-label": "time"}
        super().__init__(attrs, format=_WRITTEN)


class _Boxes(forms.MultiWidget):
    zone: ZoneInfo | None = None

    def __init__(self) -> None:
        super().__init__([skin.Select(choices=_CHOICES), _Local()])

    def decompress(self, value: Any) -> list[Any]:
        """A stored beginning; «now» for a new calibration is the form's initial value."""
        if value == NOW:
            return [NOW, None]
        if value is None:
            return [ALWAYS, None]
        return [FROM, value.astimezone(self.zone or UTC).replace(tzinfo=None)]


class BeginningField(forms.MultiValueField):
    """An aware instant (UTC), or None for «since always».

    What is typed counts in `zone`; a time that the clocks skip there is refused, of one that comes
    twice the first is meant.
    """

    def __init__(self) -> None:
        choice = forms.ChoiceField(choices=_CHOICES)
        typed = forms.DateTimeField(required=False, input_formats=[_WRITTEN, f"{_WRITTEN}:%S"])
        super().__init__(
            [choice, typed], require_all_fields=False, required=False, widget=_Boxes(),
            label="Valid from",
        )  # fmt: skip

    def speak(self, zone: str) -> None:
        """Count in the zone of a community."""
        self.zone = ZoneInfo(zone)
        self.widget.zone = self.zone
        self.help_text = f"Entries from this time on are calibrated like this. Time of {zone}."

    def clean(self, value: Any) -> datetime | None:
        """Read the two boxes without taking the typed time for one of the site's own zone."""
        choice, typed = (*(value or ()), "", "")[:2]
        return self.compress([choice, typed])

    def compress(self, values: Sequence[Any]) -> datetime | None:
        """The instant that is meant; raises ValidationError."""
        choice, typed = values
        if choice == ALWAYS:
            return None
        if choice == NOW:
            return timezone.now()
        if choice != FROM:
            raise ValidationError("Choose from when the calibration holds.")
        return _instant(str(typed).strip(), getattr(self, "zone", ZoneInfo("UTC")))


def _instant(text: str, zone: ZoneInfo) -> datetime:
    try:
        wall = datetime.fromisoformat(text)
    except ValueError:
        raise ValidationError("Enter the time like 2026-11-20 14:30.") from None
    if wall.tzinfo is not None or not 1971 <= wall.year <= 9000:
        raise ValidationError("Enter a time like 2026-11-20 14:30, without a zone.")
    at = wall.replace(tzinfo=zone).astimezone(UTC)
    if at.astimezone(zone).replace(tzinfo=None) != wall:
        raise ValidationError("This time does not exist there: the clocks skip it.")
    return at
