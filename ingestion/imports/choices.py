"""What a person chose for a file, as it is kept with the import and read again for each step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from zoneinfo import ZoneInfo, available_timezones

from devices.readings.imports.text import ENCODINGS, UnreadableFile
from ingestion.imports.csv_export import Options
from ingestion.imports.times import FORMS


@dataclass(frozen=True, slots=True)
class Choices:
    """As `Options`, in words that JSON keeps; `replace`: differing readings are overwritten."""

    zone: str = ""
    form: str = ""
    encoding: str = ""
    columns: Mapping[int, str] = field(default_factory=dict)
    decimal_comma: bool = False
    replace: bool = False

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> Self:
        """As `as_json` gave it."""
        columns = {int(place): role for place, role in stored.get("columns", {}).items()}
        return cls(**{**stored, "columns": columns})

    def as_json(self) -> dict[str, Any]:
        """For the database."""
        return {
            "zone": self.zone,
            "form": self.form,
            "encoding": self.encoding,
            "columns": {str(place): role for place, role in self.columns.items()},
            "decimal_comma": self.decimal_comma,
            "replace": self.replace,
        }

    def options(self) -> Options:
        """For reading the file. Raises UnreadableFile for what nobody can have chosen on a page."""
        if self.zone and self.zone not in available_timezones():
            raise UnreadableFile(
                f"“{self.zone}” is no time zone. Use a name such as Asia/Kolkata or Europe/Berlin."
            )
        if self.form and self.form not in FORMS:
            known = ", ".join(FORMS)
            raise UnreadableFile(f"There is no form of times “{self.form}”. Known are: {known}.")
        if self.encoding and self.encoding not in ENCODINGS:
            known = ", ".join(ENCODINGS)
            raise UnreadableFile(f"The encoding “{self.encoding}” is not read. Read are: {known}.")
        return Options(
            zone=ZoneInfo(self.zone) if self.zone else None,
            form=self.form,
            encoding=self.encoding,
            columns=self.columns,
            decimal_comma=self.decimal_comma,
        )
