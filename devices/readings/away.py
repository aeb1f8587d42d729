"""What people and programs are told while the site's stores cannot be used: 503, and why.

Three ways lead here: what a view of the API raises, what any other view raises, and what fails
outside of views (a session that cannot be read or saved).
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import structlog
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.views.defaults import server_error
from drf_standardized_errors.handler import ExceptionHandler
from rest_framework.exceptions import APIException
from rest_framework.response import Response

from devices.access import Viewer, sees_everything
from devices.readings.outages import Outage, outage_of

log = structlog.get_logger(__name__)

_API = "/api/"


class Unusable(APIException):
    """The answer of the API."""

    status_code = 503

    def __init__(self, outage: Outage, text: str) -> None:
        super().__init__(text, outage.code)
        self.wait = outage.retry_after_s
        """Becomes the header Retry-After."""


class ApiErrors(ExceptionHandler):
    """The API's errors, and 503 for what cannot be used."""

    def convert_known_exceptions(self, exc: Exception) -> Exception:
        """As ever, and 503 instead of 500."""
        outage = outage_of(exc)
        if outage is None:
            return super().convert_known_exceptions(exc)
        _log(outage)
        request = self.context["request"]
        return Unusable(outage, _words(outage, None if request is None else request.user))

    def report_exception(self, exc: APIException, response: Response) -> None:
        """Nothing more of an outage: it is no error of this program."""
        if not isinstance(exc, Unusable):
            super().report_exception(exc, response)


class OutageMiddleware:
    """The same for pages."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        """As Django makes it."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Nothing to do unless a view fails."""
        return self.get_response(request)

    def process_exception(self, request: HttpRequest, error: Exception) -> HttpResponse | None:
        """A page for an outage; None for every other error."""
        outage = outage_of(error)
        if outage is None:
            return None
        _log(outage)
        return _page(outage, _words(outage, request.user))


def failed(request: HttpRequest) -> HttpResponse:
    """The answer where a request failed outside of its view; Django calls it with the error."""
    outage = outage_of(sys.exc_info()[1])
    if outage is None:
        return server_error(request)
    _log(outage)
    if not request.path.startswith(_API):
        return _page(outage, outage.text)
    problem = {"code": outage.code, "detail": outage.text, "attr": None}
    return _told(JsonResponse({"type": "server_error", "errors": [problem]}, status=503), outage)


def _log(outage: Outage) -> None:
    log.error("site_unusable", what=outage.code, reason=outage.reason)


def _page(outage: Outage, text: str) -> HttpResponse:
    content = render_to_string("503.html", {"heading": outage.heading, "text": text})
    return _told(HttpResponse(content, status=503), outage)


def _told(answer: HttpResponse, outage: Outage) -> HttpResponse:
    answer["Retry-After"] = str(outage.retry_after_s)
    answer["Cache-Control"] = "no-store"
    return answer


def _words(outage: Outage, user: Viewer | None) -> str:
    """The names of servers are for those who run them, if the database can say who that is."""
    if outage.code != "readings_away" or user is None or not sees_everything(user):
        return outage.text
    return f"{outage.text} {outage.reason}"
