"""A full disk, a database that is away: people and programs are told, with 503 and when to ask."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Callable
from typing import Any, NoReturn

import psycopg
import pytest
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.middleware import SessionMiddleware
from django.db import InterfaceError, OperationalError, ProgrammingError
from django.http import HttpRequest
from django.test import Client
from django.urls import path
from rest_framework.permissions import AllowAny
from rest_framework.request import Request
from rest_framework.views import APIView


def full_sqlite() -> NoReturn:
    """As a file that may not grow says it."""
    with sqlite3.connect(":memory:") as database:
        database.execute("CREATE TABLE kept (what)")
        database.execute("PRAGMA max_page_count = 3")
        try:
            database.execute("INSERT INTO kept VALUES (zeroblob(1000000))")
        except sqlite3.Error as error:
            raise OperationalError(*error.args) from error
    raise AssertionError("There was room.")


def locked_sqlite() -> NoReturn:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    raise OperationalError(*error.args) from error


def refused_postgresql() -> NoReturn:
    """As the driver says it where no server listens."""
    try:
        psycopg.connect("host=127.0.0.1 port=1 user=tele password=hush dbname=x")
    except psycopg.Error as error:
        raise OperationalError(*error.args) from error
    raise AssertionError("Somebody listened.")


def said(kind: type[psycopg.Error], wrapped: type[Exception] = OperationalError) -> NoReturn:
    raise wrapped("what the server said") from kind("what the server said")


FULL: list[Callable[[], NoReturn]] = [
    full_sqlite,
    lambda: said(psycopg.errors.DiskFull),
    lambda: _raise(OSError(errno.ENOSPC, "No space left on device", "/var/lib/secret")),
]
AWAY: list[Callable[[], NoReturn]] = [
    locked_sqlite,
    refused_postgresql,
    lambda: said(psycopg.errors.AdminShutdown),
    lambda: said(psycopg.errors.CannotConnectNow),
    lambda: said(psycopg.InterfaceError, InterfaceError),
]
OURS: list[Callable[[], NoReturn]] = [
    lambda: said(psycopg.errors.UndefinedTable, ProgrammingError),
    lambda: said(psycopg.errors.LockNotAvailable),
    lambda: _raise(OSError(errno.ENOENT, "No such file")),
    lambda: _raise(RuntimeError("a mistake")),
]
ERRORS = [*FULL, *AWAY, *OURS]


def _raise(error: Exception) -> NoReturn:
    raise error


def page(request: HttpRequest, number: int) -> NoReturn:
    ERRORS[number]()


class Program(APIView):
    """A view of the API that fails."""

    permission_classes = (AllowAny,)

    def get(self, request: Request, number: int) -> NoReturn:
        ERRORS[number]()


urlpatterns = [
    path("page/<int:number>/", page),
    path("api/<int:number>/", Program.as_view()),
]


@pytest.fixture
def client() -> Client:
    return Client(raise_request_exception=False)


@pytest.mark.django_db
@pytest.mark.urls(__name__)
@pytest.mark.parametrize("number", range(len(ERRORS)))
def test_what_is_no_mistake_of_ours_is_told_with_503(client: Client, number: int) -> None:
    shown, told = client.get(f"/page/{number}/"), client.get(f"/api/{number}/")
    texts = [shown.content.decode(), told.content.decode()]
    error = ERRORS[number]
    if error in OURS:
        assert (shown.status_code, told.status_code) == (500, 500)
        assert "Retry-After" not in shown
        return
    assert (shown.status_code, told.status_code) == (503, 503)
    words = "disk is full" if error in FULL else "database"
    code = "disk_full" if error in FULL else "database_away"
    wait = "60" if error in FULL else "10"
    assert words in texts[0]
    assert told.json()["errors"][0]["code"] == code
    assert (shown["Retry-After"], told["Retry-After"]) == (wait, wait)
    for secret in ("127.0.0.1", "hush", "/var/lib", "server said"):
        assert secret not in "".join(texts)


@pytest.mark.django_db
@pytest.mark.parametrize("address", ["/", "/api/v1/devices/"])
def test_a_session_that_cannot_be_read_is_told_the_same_way(
    client: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(store: SessionStore) -> Any:
        said(psycopg.errors.AdminShutdown)

    monkeypatch.setattr(SessionStore, "load", load)
    client.cookies["sessionid"] = "a" * 32
    answer = client.get(address)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "10"
    assert "database" in answer.content.decode()


@pytest.mark.parametrize("address", ["/login/", "/api/v1/"])
def test_what_fails_outside_of_views_is_told_the_same_way(
    client: Client, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def save(*_: Any) -> NoReturn:
        full_sqlite()

    monkeypatch.setattr(SessionMiddleware, "process_response", save)
    answer = client.get(address)
    assert answer.status_code == 503
    assert answer["Retry-After"] == "60"
    assert "disk is full" in answer.content.decode()
    assert (answer["Content-Type"] == "application/json") == address.startswith("/api/")
