"""What people and programs are told while the readings cannot be had: 503, and its owner why."""

from __future__ import annotations

from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from devices.access import Viewer, sees_everything
from devices.readings.store import RowsAway, RowsRefused

log = structlog.get_logger(__name__)

RETRY_AFTER_S = 10
WORDS = "The readings cannot be had at the moment. Try again in a few seconds."


class ReadingsAway(APIException):
    """The answer of the API."""

    status_code = 503
    default_code = "readings_away"
    wait = RETRY_AFTER_S


class ApiErrors(ExceptionHandler):
    """The API's errors, and one for a readings engine that is away."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """As ever, and 503 instead of 500."""
        if isinstance(exc, RowsAway | RowsRefused):
            log.error("readings_engine_away", reason=str(exc))
            request = self.context["request"]
            return ReadingsAway(_words(exc, None if request is None else request.user))
        return super().convert_known_exceptions(exc)

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Nothing more of a readings engine that is away: it is no error of this program."""
        if not isinstance(exc, ReadingsAway):
            super().report_exception(exc, response)


class ReadingsAwayMiddleware:
    """The same for pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """As Django makes it."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing to do unless a view fails."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page for a readings engine that is away; None for every other error."""
        if not isinstance(error, RowsAway | RowsRefused):
            return None
        log.error("readings_engine_away", reason=str(error))
        page = render(request, "503.html", {"text": _words(error, request.user)}, status=503)
        page["Retry-After"] = str(RETRY_AFTER_S)
        page["Cache-Control"] = "no-store"
        return page


def _words(error: Exception, user: Viewer | None) -> str:
    """The names of servers are for those who run them."""
    return f"{WORDS} {error}" if user is not None and sees_everything(user) else WORDS
