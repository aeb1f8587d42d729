"""The form of a calibration, made for whoever stands beside the tank."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django import forms
from django.core.exceptions import ValidationError

from devices import units
from devices.admin import skin
from devices.calibrations import Unsuitable
from devices.models import (
    CalibrationKind,
    CalibrationVersion,
    Device,
    FieldMapping,
    Metric,
)
from devices.models.calibration import LITRES, TANKS
from ingestion.admin.calibration.beginning import NOW, BeginningField
from ingestion.drift.sent import Sent, units_sent
from ingestion.drift.sharing import in_former_units

OF, VOLUME = "of", "volume"
MOUNTING = ("input_unit", "from_top", "gap_cm")


if TYPE_CHECKING:
    _Form = forms.ModelForm[CalibrationVersion]
else:
    _Form = forms.ModelForm


class CalibrationForm(_Form):
    """A calibration of the mapping `of`; with `volume`, of a volume that its field shall feed too.

    Kinds that the metric cannot take are not offered.
    """

    valid_from = BeginningField()
    of = forms.ModelChoiceField(FieldMapping.objects.none(), widget=forms.HiddenInput)
    volume = forms.BooleanField(required=False, widget=forms.HiddenInput)
    recompute = forms.BooleanField(
        required=False,
        initial=True,
        widget=skin.CheckboxInput,
        label="Recompute stored readings that this governs",
        help_text="Otherwise only what is received from now on is calibrated like this; the "
        "channel's page goes on offering it.",
    )

    class Meta:
        model = CalibrationVersion
        exclude = ["mapping"]  # it never changes; see `of`

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.base = self._base()
        self.former: list[CalibrationVersion] = []
        """Of a volume: what takes the numbers that came in other units, unsaved."""
        base = self.base
        if base is None or "kind" not in self.fields:  # nothing to fill in: a page to read
            return
        device = base.source.device
        beginning = self.fields["valid_from"]
        assert isinstance(beginning, BeginningField)  # noqa: S101  # declared above
        beginning.speak(device.community.zone)
        if self.is_new:
            beginning.initial = NOW
            if not self.is_bound:
                self.initial.update(_proposed(base, device, volume=self.for_volume))
        if self.for_volume:
            # Before its first calibration, depth would be stored as litres.
            del self.fields["valid_from"]
        self._offer_kinds()

    def _base(self) -> FieldMapping | None:
        """The mapping that is calibrated, or whose field shall feed a volume as well."""
        if not self.is_new:
            return self.instance.mapping
        chosen = self["of"].value()
        field = self.fields["of"]
        assert isinstance(field, forms.ModelChoiceField)  # noqa: S101  # declared above
        try:
            found = field.clean(chosen)
        except ValidationError:
            return None
        mapping: FieldMapping = (
            FieldMapping.objects.select_related("source__device__community", "metric")
        ).get(pk=found.pk)
        return mapping

    @property
    def is_new(self) -> bool:
        """Whether the calibration is not stored yet."""
        return self.instance._state.adding

    @property
    def for_volume(self) -> bool:
        """Whether the field shall feed a volume as well."""
        return self.is_new and self["volume"].value() in (True, "1", "on", "True")

    @property
    def target(self) -> FieldMapping | None:
        """The mapping that the calibration belongs to; a volume's is not stored yet."""
        if self.base is None or not self.for_volume:
            return self.base
        return volume_mapping(self.base)

    def _offer_kinds(self) -> None:
        """Litres only into what can hold litres, and nothing else into a new volume."""
        base = self.base
        assert base is not None  # noqa: S101  # the caller has looked
        litres = self.for_volume or units.conversion(LITRES, base.metric.unit) is not None
        choices = [
            (kind, label)
            for kind, label in CalibrationKind.choices
            if (kind in TANKS and litres) or (kind not in TANKS and not self.for_volume)
        ]
        kind = self.fields["kind"]
        assert isinstance(kind, forms.ChoiceField)  # noqa: S101  # the model's choices
        kind.choices = choices

    def clean(self) -> dict[str, Any]:
        """Tie the calibration to its mapping before the model checks it."""
        data: dict[str, Any] = super().clean() or {}
        if self.is_new and self.base is not None and not self.for_volume:
            self.instance.mapping = self.base
        if self.for_volume and self.base is not None and volume_exists(self.base):
            self.add_error(None, "This field feeds a volume already: calibrate that mapping.")
        return data

    def _post_clean(self) -> None:
        """Also what concerns the mapping, which is no box."""
        super()._post_clean()  # type: ignore[misc]
        if self.base is None or self.errors:
            return
        if self.for_volume:
            self._reach_back(units_sent(self.base))
            return
        try:
            self.instance.validate_constraints()
        except ValidationError as error:
            self.add_error("valid_from", error.messages)

    def _reach_back(self, sent: Sequence[Sent]) -> None:
        """Have the tank take every number as what it was when it came."""
        former = in_former_units(self.instance, sent)
        if former is None:
            text = (
                "The unit that the sensor sends has changed since it was mapped. If it measures in "
                f"{self.instance.input_unit} now, it did not measure in any unit of this list then."
            )
            self.add_error("input_unit", text)
            return
        self.former, self.instance.valid_from = former, sent[-1].since

    def problem(self) -> str:
        """Why the boxes make no calibration yet; empty when they do."""
        try:
            self.instance.calibration()
        except Unsuitable as error:
            box = self.fields.get(error.field)
            return f"{box.label}: {error}" if box is not None and box.label else str(error)
        except (TypeError, ValueError, KeyError):
            return "Not everything that was entered can be read."
        return ""


def volume_exists(mapping: FieldMapping) -> bool:
    """Whether the mapping's field feeds something that is measured in litres or the like."""
    others = FieldMapping.objects.filter(source=mapping.source_id, field=mapping.field)
    found = others.select_related("metric")
    return any(units.conversion(LITRES, one.metric.unit) is not None for one in found)


def volume_mapping(depth: FieldMapping) -> FieldMapping:
    """A mapping of the same field into a volume in litres; neither is stored."""
    device = depth.source.device
    taken = set(device.metrics.values_list("name", flat=True))
    name = next(
        one for one in ("volume_l", *(f"volume_{n}_l" for n in range(2, 99))) if one not in taken
    )
    last = device.metrics.order_by("-position").values_list("position", flat=True).first()
    metric = Metric(
        device=device, name=name, label="Volume", unit=LITRES, decimals=0,
        position=(last or 0) + 1,
    )  # fmt: skip
    unit = depth.unit or depth.metric.unit
    return FieldMapping(
        source=depth.source,
        field=depth.field,
        metric=metric,
        decimal_mark=depth.decimal_mark,
        remote_label=depth.remote_label,
        unit=unit,
    )


def _proposed(mapping: FieldMapping, device: Device, *, volume: bool) -> dict[str, Any]:
    """What the device's tank and the mapping say already."""
    known = units.canonical(units_sent(mapping)[-1].unit) if volume else None
    proposed: dict[str, Any] = {
        "scale": mapping.scale,
        "offset": mapping.offset,
        "input_unit": known if known in ("cm", "mm", "m", "in", "ft") else "cm",
    }
    if volume or units.conversion(LITRES, mapping.metric.unit) is not None:
        proposed |= {"kind": CalibrationKind.UPRIGHT_CYLINDER.value, **_tank(device)}
    return proposed


def _tank(device: Device) -> dict[str, float]:
    """The tank as a standing cylinder of its height and capacity."""
    height, litres = device.tank_height_cm, device.tank_capacity_l
    if not height:
        return {}
    if not litres:
        return {"height_cm": height}
    diameter = 2 * math.sqrt(litres * 1000 / (math.pi * height))
    return {"height_cm": height, "diameter_cm": round(diameter, 1)}
