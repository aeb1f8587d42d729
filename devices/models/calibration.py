"""Calibrations of a field mapping: each holds from a time, until the next one begins."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.validators import MinValueValidator
from django.db import models
from simple_history.models import HistoricalRecords

from devices import units
from devices.access import ScopedQuerySet
from devices.calibrations import (
    Box,
    Calibration,
    Cone,
    DepthTable,
    Ends,
    HorizontalCylinder,
    Linear,
    Mounted,
    Shape,
    Table,
    TwoPoint,
    Unsuitable,
    UprightCylinder,
    points_of,
)
from devices.models.mapping import FieldMapping

LITRES = "L"


class CalibrationKind(models.TextChoices):
    """How the number received becomes a value. A closed set: each has its own boxes."""

    LINEAR = "linear", "Scale and offset"
    TWO_POINT = "two_point", "Two measured points"
    TABLE = "table", "Table of measured points"
    UPRIGHT_CYLINDER = "upright_cylinder", "Tank volume: standing cylinder"
    HORIZONTAL_CYLINDER = "horizontal_cylinder", "Tank volume: lying cylinder"
    BOX = "box", "Tank volume: box"
    CONE = "cone", "Tank volume: cone or cut-off cone"
    DEPTH_TABLE = "depth_table", "Tank volume: table of depths"


class EndsChoice(models.TextChoices):
    """What becomes of numbers that the calibration knows nothing about."""

    REFUSE = Ends.REFUSE, "Refuse them, with the reason"
    HOLD = Ends.HOLD, "Count them as the nearest end (empty or full)"
    EXTEND = Ends.EXTEND, "Extend the table's outermost lines"


BOXES: dict[str, tuple[str, ...]] = {
    CalibrationKind.LINEAR: ("scale", "offset"),
    CalibrationKind.TWO_POINT: ("raw_1", "true_1", "raw_2", "true_2"),
    CalibrationKind.TABLE: ("points",),
    CalibrationKind.UPRIGHT_CYLINDER: ("diameter_cm", "height_cm"),
    CalibrationKind.HORIZONTAL_CYLINDER: ("diameter_cm", "length_cm"),
    CalibrationKind.BOX: ("length_cm", "width_cm", "height_cm"),
    CalibrationKind.CONE: ("bottom_diameter_cm", "top_diameter_cm", "height_cm"),
    CalibrationKind.DEPTH_TABLE: ("points",),
}
"""What has to be entered for each kind."""
TANKS = tuple(BOXES)[3:]
PARAMETERS = tuple(dict.fromkeys(name for names in BOXES.values() for name in names))


class CalibrationVersionQuerySet(ScopedQuerySet["CalibrationVersion"]):
    """Calibrations, scoped by community."""

    community_path = "mapping__source__device__community"


def _length(name: str, text: str = "") -> models.FloatField[float | None, float | None]:
    return models.FloatField(
        f"{name} (cm)", null=True, blank=True, validators=[MinValueValidator(0)], help_text=text
    )


class CalibrationVersion(models.Model):
    """How a mapping's numbers become values, for entries from `valid_from` on.

    It takes the number as received, in the place of the mapping's scale and offset. What it gives
    is in the mapping's unit, or in litres for tanks; then it is converted to the metric's unit.
    """

    mapping = models.ForeignKey(FieldMapping, on_delete=models.CASCADE, related_name="calibrations")
    valid_from = models.DateTimeField(
        null=True,
        blank=True,
        help_text="Entries from this time on are calibrated like this. Empty: since always.",
    )
    kind = models.CharField(
        max_length=20, choices=CalibrationKind.choices, default=CalibrationKind.LINEAR
    )
    scale = models.FloatField(
        null=True, blank=True, help_text="The number received is multiplied by this."
    )
    offset = models.FloatField(
        null=True, blank=True, default=0.0, help_text="Added after multiplying."
    )
    raw_1 = models.FloatField("number received, low point", null=True, blank=True)
    true_1 = models.FloatField("true value, low point", null=True, blank=True)
    raw_2 = models.FloatField("number received, high point", null=True, blank=True)
    true_2 = models.FloatField("true value, high point", null=True, blank=True)
    points = models.TextField(
        blank=True,
        max_length=10_000,
        help_text="One point on a line: the number received, a comma, the true value. For a tank: "
        "the depth in cm, a comma, the litres.",
    )
    diameter_cm = _length("diameter", "Inside.")
    length_cm = _length("length", "Inside.")
    width_cm = _length("width", "Inside.")
    height_cm = _length("height", "Depth of the water when full.")
    bottom_diameter_cm = _length("diameter at the bottom", "0: the tank stands on its point.")
    top_diameter_cm = _length("diameter at the top", "0: the tank ends in a point.")
    input_unit = models.CharField(
        "the sensor measures in",
        max_length=2,
        choices=[(unit, unit) for unit in ("cm", "mm", "m", "in", "ft")],
        default="cm",
    )
    from_top = models.BooleanField(
        "measures the distance from the top",
        default=False,
        help_text="The sensor hangs above the water and measures down to it: less is fuller.",
    )
    gap_cm = models.FloatField(
        "gap (cm)",
        default=0.0,
        validators=[MinValueValidator(0)],
        help_text="From the top: what the sensor still measures when the tank is full. Otherwise: "
        "the water below the sensor that it does not see.",
    )
    ends = models.CharField(
        "numbers beyond the ends",
        max_length=6,
        choices=EndsChoice.choices,
        default=EndsChoice.REFUSE,
        help_text="What becomes of numbers outside the table or the tank.",
    )
    note = models.CharField(
        max_length=200, blank=True, help_text="Why: “measured with a dipstick”, “new sensor”."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CalibrationVersionQuerySet.as_manager()
    history = HistoricalRecords()

    class Meta:
        verbose_name = "calibration"
        ordering = ["mapping", models.F("valid_from").desc(nulls_last=True)]
        constraints = [
            models.UniqueConstraint(
                fields=["mapping", "valid_from"],
                name="calibration_once_per_time",
                violation_error_message="Another calibration begins at this very time: edit it.",
            ),
            models.UniqueConstraint(
                fields=["mapping"],
                condition=models.Q(valid_from=None),
                name="calibration_since_always_once",
                violation_error_message="Another calibration holds since always: edit it.",
            ),
        ]

    def __str__(self) -> str:
        """Kind and beginning."""
        since = f"{self.valid_from:%Y-%m-%d %H:%M} UTC" if self.valid_from else "the beginning"
        return f"{self.get_kind_display()}, since {since}"

    @property
    def is_tank(self) -> bool:
        """Whether it gives litres, whatever the mapping's unit."""
        return self.kind in TANKS

    @property
    def unit(self) -> str:
        """Unit of what it gives."""
        return LITRES if self.is_tank else self.mapping.unit or self.mapping.metric.unit

    def calibration(self) -> Calibration:
        """The arithmetic; raises Unsuitable, naming the entry that is wrong or missing."""
        for name in BOXES[self.kind]:
            if getattr(self, name) in (None, ""):
                raise Unsuitable(name, "This has to be entered.")
        if self.is_tank:
            to_cm = units.conversion(self.input_unit, "cm")
            assert to_cm is not None  # noqa: S101  # the choices are lengths
            return Mounted(self._shape(), to_cm.factor, self.from_top, self.gap_cm, Ends(self.ends))
        numbers = [getattr(self, name) for name in BOXES[self.kind]]
        if self.kind == CalibrationKind.LINEAR:
            return Linear(*numbers)
        if self.kind == CalibrationKind.TWO_POINT:
            return TwoPoint((numbers[0], numbers[1]), (numbers[2], numbers[3]))
        return Table(points_of(self.points), Ends(self.ends))

    def _shape(self) -> Shape:
        if self.kind == CalibrationKind.DEPTH_TABLE:
            return DepthTable(points_of(self.points))
        lengths = [getattr(self, name) for name in BOXES[self.kind]]
        return _SHAPES[self.kind](*lengths)

    def clean(self) -> None:
        """Refuse what makes no calibration, or one whose unit the metric cannot take."""
        try:
            self.calibration()
        except Unsuitable as error:
            raise ValidationError({error.field or "kind": str(error)}) from None
        if self.mapping_id and units.conversion(self.unit, self.mapping.metric.unit) is None:
            metric = self.mapping.metric
            raise ValidationError(
                {
                    "kind": f"This gives {self.unit or 'no unit'}, which cannot be converted to "
                    f"the metric's unit “{metric.unit or 'none'}”. Feed a metric in litres "
                    "instead: see “Also compute volume”."
                    if self.is_tank
                    else f"“{self.unit}” cannot be converted to the metric's unit."
                }
            )


_SHAPES: dict[str, Callable[..., Shape]] = {
    CalibrationKind.UPRIGHT_CYLINDER.value: UprightCylinder,
    CalibrationKind.HORIZONTAL_CYLINDER.value: HorizontalCylinder,
    CalibrationKind.BOX.value: Box,
    CalibrationKind.CONE.value: Cone,
}
