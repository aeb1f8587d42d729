"""What the views of readings share: their parameters, and how they are refused."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import QuerySet
from drf_spectacular.utils import OpenApiParameter
from rest_framework.exceptions import APIException, ValidationError
from rest_framework.generics import GenericAPIView
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.status import HTTP_503_SERVICE_UNAVAILABLE

from devices.models import Metric
from devices.openapi import Schema
from devices.readings.ranges import BadTime, parse_length, parse_time
from devices.readings.store import ArchiveUnreadable

START = OpenApiParameter(
    "start", str, description="ISO 8601 or relative (-30m, -24h, -7d). Default: -24h. Inclusive."
)
END = OpenApiParameter("end", str, description="As start. Default: now. Exclusive.")
LIMIT = OpenApiParameter("limit", int, description="Readings in a page, 1 to 5000. Default: 1000.")
CURSOR = OpenApiParameter("cursor", str, description="Place in the history; part of “next”.")
POINTS = OpenApiParameter(
    "points", int, description="Places on the chart, 2 to 5000: one a pixel. Default 600."
)
COMMUNITY = OpenApiParameter("community", str, description="A community's slug.")
MOST = 5000


class ArchiveAway(APIException):
    """A file of the archive is missing or damaged."""

    status_code = HTTP_503_SERVICE_UNAVAILABLE
    default_code = "archive_unreadable"


class ReadingsView(GenericAPIView[Any]):
    """Base: knows its parameters; every other one is refused."""

    schema = Schema()
    parameters: tuple[OpenApiParameter, ...] = ()

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Refuse unknown parameters, after the caller was authenticated."""
        super().initial(request, *args, **kwargs)
        known = {parameter.name for parameter in self.parameters} | {"format"}
        unknown = sorted(set(request.query_params) - known)
        if unknown:
            listed = ", ".join(sorted(known - {"format"})) or "none"
            raise ValidationError(
                dict.fromkeys(unknown, f"There is no such parameter here. Known: {listed}.")
            )

    def handle_exception(self, exc: Exception) -> Response:
        """What the archive cannot give is no fault of the caller's."""
        if isinstance(exc, ArchiveUnreadable):
            exc = ArchiveAway(str(exc))
        return super().handle_exception(exc)

    def time(self, name: str, default: str, now: datetime) -> datetime:
        """A parameter that is a time. Raises ValidationError."""
        try:
            return parse_time(self.request.query_params.get(name, default), now)
        except BadTime as error:
            raise ValidationError({name: str(error)}) from error

    def number(self, name: str, default: int, least: int) -> int:
        """A parameter that is a whole number up to MOST. Raises ValidationError."""
        text = self.request.query_params.get(name, str(default))
        if not (text.isascii() and text.isdigit() and len(text) < 9 and least <= int(text) <= MOST):
            raise ValidationError({name: f"“{text}” is not a whole number from {least} to {MOST}."})
        return int(text)

    def length(self, name: str, default: str = "1h") -> timedelta:
        """A parameter that is a length of time. Raises ValidationError."""
        try:
            return parse_length(self.request.query_params.get(name, default))
        except BadTime as error:
            raise ValidationError({name: str(error)}) from error

    def range(self, now: datetime) -> tuple[datetime, datetime]:
        """The asked range of time. Raises ValidationError."""
        since, until = self.time("start", "-24h", now), self.time("end", "now", now)
        if since >= until:
            raise ValidationError({"start": "The start must be before the end."})
        return since, until


class OneMetricView(ReadingsView):
    """Base: of one metric that the caller may see; others do not exist."""

    queryset = Metric.objects.select_related("device__community")

    def get_queryset(self) -> QuerySet[Metric]:
        """The caller's metrics."""
        rows = Metric.objects.visible_to(self.request.user)
        return rows.select_related("device__community")
