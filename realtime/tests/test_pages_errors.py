"""Error pages: in plain words, in the site's looks, and never a traceback."""

from __future__ import annotations

from typing import Any, NoReturn

import pytest
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.test import Client
from django.urls import path


def broken(request: HttpRequest) -> NoReturn:
    raise RuntimeError("a detail for the log alone")


def forbidden(request: HttpRequest) -> NoReturn:
    raise PermissionDenied("a detail for the log alone")


urlpatterns = [path("broken/", broken), path("forbidden/", forbidden)]


@pytest.mark.urls("realtime.tests.test_pages_errors")
@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("/broken/", 500, "Something went wrong on our side"),
        ("/forbidden/", 403, "not"),
        ("/nothing/", 404, "There is nothing here"),
    ],
)
def test_errors_have_a_page(address: str, status: int, words: str) -> None:
    response = Client(raise_request_exception=False).get(address)
    page = response.content.decode()
    assert response.status_code == status
    assert words in page
    assert "Go to the overview" in page
    assert "a detail for the log alone" not in page


def test_a_wrong_host_has_a_page() -> None:
    response = Client().get("/", headers={"host": "elsewhere.example"})
    assert response.status_code == 400
    assert "Go to the overview" in response.content.decode()


@pytest.mark.django_db
def test_a_form_that_is_too_old_says_what_to_do() -> None:
    response = Client(enforce_csrf_checks=True).post("/login/", {"username": "a", "password": "b"})
    assert response.status_code == 403
    assert "Please send that again" in response.content.decode()


@pytest.mark.django_db
def test_who_guesses_passwords_is_told_to_wait(settings: Any) -> None:
    settings.AXES_ENABLED = True
    wrong = {"username": "somebody", "password": "wrong"}
    client = Client()
    for _ in range(settings.AXES_FAILURE_LIMIT):
        response = client.post("/login/", wrong)
    assert response.status_code == 429
    assert "Too many attempts" in response.content.decode()
