"""The boxes of an import: the file, and what somebody says about it before it is imported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from zoneinfo import available_timezones

from django import forms

from devices.access import Viewer
from devices.admin import skin
from devices.models import Source, ThingSpeakChannel
from devices.readings.admin.import_forms import ENCODINGS
from ingestion.imports.checking import labels_of, proposed_columns
from ingestion.imports.choices import Choices
from ingestion.imports.files import LARGEST, too_large
from ingestion.imports.header import NUMBER, OTHERS
from ingestion.imports.times import FORMS
from ingestion.sources.thingspeak import FIELDS

if TYPE_CHECKING:
    _ChannelChoice = forms.ModelChoiceField[ThingSpeakChannel]
else:
    _ChannelChoice = forms.ModelChoiceField

_WHY = {
    "label": "the channel calls this field so",
    "place": "by its place among the columns: check it",
    "": "no field is left for it",
}


class UploadForm(forms.Form):
    """Which channel, and the file."""

    source = _ChannelChoice(
        queryset=None,
        label="Channel",
        widget=skin.Select(),
        help_text="Its mappings decide what becomes of each field. A channel that is not read any "
        "more may be switched off.",
    )
    file = forms.FileField(
        label="CSV file",
        widget=skin.FileInput(attrs={"accept": ".csv,.txt,text/csv"}),
        help_text=f"As ThingSpeak exports it, best untouched; at most {LARGEST // 2**20} MB.",
    )

    def __init__(self, user: Viewer, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Typed as its base class by the checker, whose fields it then misses.
        rows: Any = ThingSpeakChannel.objects
        channels = rows.operable_by(user).select_related("device__community")
        chosen: Any = self.fields["source"]
        chosen.queryset = channels.order_by("device__community__name", "device__name", "channel_id")

    def clean_file(self) -> Any:
        """Refuse what is larger than any import."""
        file = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST:
            raise forms.ValidationError(too_large())
        return file


@dataclass(frozen=True, slots=True)
class Column:
    """A renamed column of the file, its box, and why it is proposed what it is."""

    name: str
    box: forms.BoundField
    why: str


class ChoicesForm(forms.Form):
    """What only a person can know about a file."""

    zone = forms.ChoiceField(
        required=False,
        label="Zone of times without one",
        widget=skin.Select(),
        help_text="Times that carry a zone or an offset keep it.",
    )
    form = forms.ChoiceField(
        required=False,
        label="How times are written",
        widget=skin.Select(),
        choices=[("", "As ThingSpeak writes them"), *((k, f.label) for k, f in FORMS.items())],
        help_text="Only if a spreadsheet has rewritten them.",
    )
    encoding = forms.ChoiceField(
        required=False, label="Encoding", widget=skin.Select(), choices=ENCODINGS
    )
    decimal_comma = forms.BooleanField(
        required=False,
        widget=skin.CheckboxInput(),
        label="Decimal commas were written by a spreadsheet",
        help_text="22,4 is then read as 22.4.",
    )
    replace = forms.BooleanField(
        required=False,
        widget=skin.CheckboxInput(),
        label="Replace stored readings that differ",
        help_text="Otherwise what was received from the device stays.",
    )

    def __init__(self, source: Source, found: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        zone: Any = self.fields["zone"]
        own = source.device.community.zone
        zone.choices = [
            ("", "None: refuse such times"),
            ("Community", [(own, own)]),
            ("All", [(one, one) for one in sorted(available_timezones()) if one != own]),
        ]
        self._found = found
        self._proposed = proposed_columns(found) if found else {}
        labels = labels_of(source)
        for place in self._proposed:
            self.fields[f"column_{place}"] = forms.ChoiceField(
                required=False, widget=skin.Select(), choices=_roles(labels)
            )

    @classmethod
    def shown(cls, source: Source, found: Mapping[str, Any], choices: Choices) -> ChoicesForm:
        """With what was chosen last."""
        values: dict[str, Any] = choices.as_json()
        columns = {f"column_{place}": role for place, role in choices.columns.items()}
        return cls(source, found, initial={**values, **columns})

    @property
    def columns(self) -> Iterator[Column]:
        """The renamed columns, for the page."""
        for place, one in self._proposed.items():
            name = self._found["names"][place] or f"column {place + 1} without a name"
            yield Column(name, self[f"column_{place}"], _WHY[one.why])

    @property
    def usual(self) -> list[forms.BoundField]:
        """The boxes that every file has."""
        return [self[name] for name in self.fields if not name.startswith("column_")]

    def choices(self) -> Choices:
        """What was chosen; call it on a valid form only."""
        given = self.cleaned_data
        return Choices(
            zone=given["zone"],
            form=given["form"],
            encoding=given["encoding"],
            columns={place: given[f"column_{place}"] for place in self._proposed},
            decimal_comma=given["decimal_comma"],
            replace=given["replace"],
        )


def _roles(labels: Mapping[str, str]) -> list[tuple[str, str]]:
    fields = [(one, f"{one} “{labels[one]}”" if labels.get(one) else one) for one in FIELDS]
    return [("", "Leave out"), *fields, (NUMBER, "entry number"), *((one, one) for one in OTHERS)]
