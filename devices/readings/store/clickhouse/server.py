"""The connection to ClickHouse, and its errors in words for people."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError, DatabaseError
from clickhouse_connect.driver.exceptions import OperationalError as NoAnswer
from django.db import OperationalError

from devices.readings.address import Address
from devices.readings.store.clickhouse.schema import CREATE, TYPES

SETTINGS = {
    # A key lies in one month only: months need not be compared with each other.
    "do_not_merge_across_partitions_select_final": 1,
    # A batch of keys is one long statement.
    "max_query_size": 64 * 1024 * 1024,
    # A year that is moved in is many months.
    "max_partitions_per_insert_block": 0,
    # A month that was dropped may be moved in again, block by block the same.
    "insert_deduplicate": 0,
    # Where a server gathers inserts: what is acknowledged is written.
    "wait_for_async_insert": 1,
    # What is dropped is gone for the next statement.
    "mutations_sync": 2,
}
CONNECT_TIMEOUT_S = 5
ANSWER_TIMEOUT_S = 120
_AUTHENTICATION = (192, 193, 194, 516)
_UNKNOWN_DATABASE = 81
_FULL = 243
_FIRST_LINE = 300


class RowsAway(OperationalError):
    """ClickHouse cannot be reached, or not used for now; what was asked may be asked again."""


class RowsRefused(OperationalError):
    """ClickHouse answered, with an error; the text says what it said and what to change."""


class Server:
    """One ClickHouse server, asked by any thread; each process has its own connections."""

    def __init__(self, address: Address) -> None:
        """Nothing is opened before the first question."""
        self.address = address
        self._lock = threading.Lock()
        self._client: Client | None = None
        self._process = 0

    @classmethod
    @cache
    def of(cls, address: Address) -> Server:
        """The one of this process."""
        return cls(address)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """All rows of a SELECT. Raises RowsAway or RowsRefused, as everything here."""
        client = self.client()
        with self._explained():
            return [tuple(row) for row in client.query(sql).result_rows]

    def run(self, sql: str) -> None:
        """A statement without an answer."""
        client = self.client()
        with self._explained():
            client.command(sql)

    def insert(
        self,
        table: str,
        columns: Sequence[str],
        values: Sequence[Sequence[Any]],
        *,
        into: str = "",
    ) -> None:
        """Insert rows given as columns, all of them or none; or `into` one like our table."""
        types = TYPES[table]
        client = self.client()
        with self._explained():
            client.insert(
                into or table,
                values,
                column_names=columns,
                column_type_names=[types[column] for column in columns],
                column_oriented=True,
            )

    def insert_blocks(self, table: str, columns: Sequence[str], blocks: Sequence[bytes]) -> None:
        """Insert rows in Native format (`native`), all of them or none; their keys differ."""
        client = self.client()
        with self._explained():
            client.raw_insert(
                table, columns, b"".join(blocks), fmt="Native", settings={"optimize_on_insert": 0}
            )

    def close(self) -> None:
        """Let go of the connection; the next question opens one."""
        with self._lock:
            if self._client is not None and self._process == os.getpid():
                self._client.close()
            self._client = None

    def client(self) -> Client:
        """The client of this process: after a fork, the parent's sockets are not ours."""
        if self._client is not None and self._process == os.getpid():
            return self._client
        with self._lock:
            if self._client is None or self._process != os.getpid():
                with self._explained():
                    client = self._open()
                    for statement in CREATE:
                        client.command(statement)
                self._client, self._process = client, os.getpid()
            return self._client

    def _open(self) -> Client:
        address = self.address
        if address.directory:
            return clickhouse_connect.get_client(
                dsn=f"chdb://{address.directory}", settings=SETTINGS
            )
        return clickhouse_connect.get_client(
            host=address.host,
            port=address.port,
            username=address.user,
            password=address.password,
            database=address.database,
            interface="https" if address.encrypted else "http",
            settings=SETTINGS,
            connect_timeout=CONNECT_TIMEOUT_S,
            send_receive_timeout=ANSWER_TIMEOUT_S,
            autogenerate_session_id=False,  # a session answers one question at a time
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except NoAnswer as error:
            raise RowsAway(
                f"{self.address} cannot be reached: {_reason(error)}. Start it, or correct "
                f"{self.address.given_by}."
            ) from error
        except DatabaseError as error:
            raise self._refusal(error) from error
        except ClickHouseError as error:
            raise RowsRefused(f"{self.address} cannot be used: {_first_line(error)}") from error

    def _refusal(self, error: DatabaseError) -> OperationalError:
        """What its answer means."""
        code = error.code
        if code in _AUTHENTICATION:
            return RowsRefused(
                f"{self.address} does not let this site in. Correct user and password in "
                f"{self.address.given_by}."
            )
        if code == _UNKNOWN_DATABASE:
            return RowsRefused(
                f"{self.address}: there is no such database. Create it, or correct "
                f"{self.address.given_by}."
            )
        if code == _FULL:
            return RowsAway(f"{self.address} has no room left on its disk. Make room there.")
        if code is None:
            return RowsRefused(
                f"{self.address} does not answer like ClickHouse: {_first_line(error)} Correct "
                f"{self.address.given_by}: it names the HTTP port, most often 8123."
            )
        return RowsRefused(f"{self.address} answered with an error: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    text = str(error).strip().partition("\n")[0][:_FIRST_LINE]
    return text if text.endswith(".") else f"{text}."


def _reason(error: BaseException) -> str:
    """What lies at the bottom of an error of the connection: refused, no such host, too late."""
    cause = error.__cause__ or getattr(error, "reason", None)
    if isinstance(cause, BaseException):
        return _reason(cause)
    return str(error).rpartition(": ")[2].rstrip(".") or type(error).__name__
