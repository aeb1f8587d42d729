"""The boxes of an import of readings: the file, and what somebody says about its columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django import forms

from devices.access import Viewer
from devices.admin import skin
from devices.models import Device
from devices.readings.imports.choices import Choices
from devices.readings.imports.files import LARGEST, too_large

if TYPE_CHECKING:
    _DeviceChoice = forms.ModelChoiceField[Device]
else:
    _DeviceChoice = forms.ModelChoiceField
ACCEPTED = ".csv,.txt,.xlsx,.jsonl,.parquet"
ENCODINGS = [
    ("", "As the file says (UTF-8 otherwise)"),
    ("windows-1252", "Windows-1252 (older spreadsheets in western Europe)"),
    ("utf-16-le", "UTF-16 (“Unicode text” of spreadsheets)"),
]


class DeviceField(_DeviceChoice):
    """Devices with their communities: names repeat."""

    def label_from_instance(self, obj: Device) -> str:
        """«School tank (Ambapur)»."""
        return f"{obj} ({obj.community})"


class UploadForm(forms.Form):
    """The file, and which device its readings go into."""

    device = DeviceField(
        queryset=None,
        required=False,
        empty_label="The one that the file names",
        widget=skin.Select(),
        help_text="Every format but CSV says which device it is of. Choose one for CSV, or to "
        "bring the readings into another device.",
    )
    file = forms.FileField(
        widget=skin.FileInput(attrs={"accept": ACCEPTED}),
        help_text="CSV, Excel, JSON lines or Parquet, as this site exports them; at most "
        f"{LARGEST // 2**20} MB.",
    )

    def __init__(self, user: Viewer, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        mine = Device.objects.operable_by(user).select_related("community")
        chosen: Any = self.fields["device"]
        chosen.queryset = mine.order_by("community__name", "name")

    def clean_file(self) -> Any:
        """Refuse what is larger than any import."""
        file = self.cleaned_data["file"]
        if (file.size or 0) > LARGEST:
            raise forms.ValidationError(too_large())
        return file


@dataclass(frozen=True, slots=True)
class ColumnBox:
    """A column that somebody must say something about, its box, and why."""

    name: str
    box: forms.BoundField
    why: str


class ChoicesForm(forms.Form):
    """What only a person can know about a file."""

    replace = forms.BooleanField(
        required=False,
        widget=skin.CheckboxInput(),
        label="Replace stored readings that differ",
        help_text="Otherwise what is stored stays, and the differences are reported.",
    )
    encoding = forms.ChoiceField(
        required=False, label="Encoding", widget=skin.Select(), choices=ENCODINGS
    )

    def __init__(self, device: Device, found: Mapping[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if found["form"] != "csv":
            del self.fields["encoding"]
        self._asked = asked_about(found)
        metrics = [
            (one.name, f"{one} – {one.name}") for one in device.metrics.order_by("position", "pk")
        ]
        for number, _ in enumerate(self._asked):
            self.fields[f"column_{number}"] = forms.ChoiceField(
                required=False,
                widget=skin.Select(),
                choices=[("?", "Not decided"), ("", "Leave out"), *metrics],
            )

    @classmethod
    def shown(cls, device: Device, found: Mapping[str, Any]) -> ChoicesForm:
        """With what was chosen last."""
        choices = Choices.of(found["choices"])
        values: dict[str, Any] = {"replace": choices.replace, "encoding": choices.encoding}
        for number, (name, _) in enumerate(asked_about(found)):
            values[f"column_{number}"] = choices.columns.get(name, "?")
        return cls(device, found, initial=values)

    @property
    def columns(self) -> Iterator[ColumnBox]:
        """The boxes of columns, for the page."""
        for number, (name, why) in enumerate(self._asked):
            yield ColumnBox(name, self[f"column_{number}"], why)

    @property
    def usual(self) -> list[forms.BoundField]:
        """The boxes that concern the whole file."""
        return [self[name] for name in self.fields if not name.startswith("column_")]

    def choices(self) -> Choices:
        """What was chosen; call it on a valid form only."""
        given = self.cleaned_data
        said = {name: given[f"column_{number}"] for number, (name, _) in enumerate(self._asked)}
        decided = {name: metric for name, metric in said.items() if metric != "?"}
        return Choices(decided, given["replace"], given.get("encoding", ""))


def asked_about(found: Mapping[str, Any]) -> Sequence[tuple[str, str]]:
    """Columns that wait for somebody or about which somebody said something, and why."""
    chosen = found["choices"]["columns"]
    problems = {one["name"]: one["problem"] for one in found["columns"] if one["problem"]}
    said = {name: "As you said." for name in chosen if name not in problems}
    return list({**problems, **said}.items())
