"""Closed sets of filters for API lists: a parameter that nobody knows is an error, not ignored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import django_filters
from rest_framework.exceptions import ValidationError

from devices.models import Device, Metric

if TYPE_CHECKING:
    from rest_framework.request import Request
    from rest_framework.views import APIView

ALWAYS = frozenset({"page", "page_size", "format"})
"""Parameters that every list understands."""


class ClosedFilters(django_filters.rest_framework.DjangoFilterBackend):  # type: ignore[misc]
    """Filtering that answers 400 to a parameter that the list does not have."""

    def filter_queryset(self, request: Request, queryset: Any, view: APIView) -> Any:
        """The filtered rows. Raises ValidationError."""
        refuse_unknown(request, self.known(view, queryset))
        return super().filter_queryset(request, queryset, view)

    def known(self, view: APIView, queryset: Any) -> frozenset[str]:
        """The names of the view's filters."""
        filters = self.get_filterset_class(view, queryset)
        return frozenset(filters.base_filters) if filters else frozenset()


def refuse_unknown(request: Request, known: frozenset[str]) -> None:
    """Raise ValidationError, naming every parameter that is not known here."""
    unknown = sorted(set(request.query_params) - known - ALWAYS)
    if unknown:
        raise ValidationError(
            {name: f"There is no such filter here. Known: {_listed(known)}." for name in unknown}
        )


def _listed(known: frozenset[str]) -> str:
    return ", ".join(sorted(known | {"page", "page_size"}))


class DeviceFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Devices by community and type."""

    community = django_filters.CharFilter(
        field_name="community__slug", help_text="A community's slug."
    )
    type = django_filters.CharFilter(field_name="type__slug", help_text="A device type's slug.")

    class Meta:
        model = Device
        fields = ["community", "type"]


class MetricFilter(django_filters.FilterSet):  # type: ignore[misc]  # untyped library
    """Metrics by device and name."""

    device = django_filters.UUIDFilter(field_name="device__uuid", help_text="A device's UUID.")
    name = django_filters.CharFilter(help_text="A canonical name such as water_level_cm.")

    class Meta:
        model = Metric
        fields = ["device", "name"]
