"""ClickHouse's address, its literals, and what people are told when it is not there."""

from __future__ import annotations

import socket
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from itertools import pairwise

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st

from devices.readings.address import Address
from devices.readings.instants import EPOCH
from devices.readings.store import RowsAway, RowsRefused
from devices.readings.store.clickhouse import Server
from devices.readings.store.clickhouse.clusters import Place, placed
from devices.readings.store.clickhouse.literals import filled
from devices.readings.store.clickhouse.schema import COLUMNS
from devices.readings.store.clickhouse.summing import STRETCHES, stretches

PASSWORD = "pa@ss/word"


def test_an_address_in_its_parts() -> None:
    address = Address.of("clickhouses://tele:pa%40ss%2Fword@ch.example/readings")

    assert address == Address("ch.example", 8443, "readings", "tele", PASSWORD, encrypted=True)
    assert str(address) == "ClickHouse at ch.example:8443, database readings"
    assert PASSWORD not in repr(address)
    assert Address.of("") is None


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgres://u:hush@h/d", "begins neither with"),
        ("clickhouse://u:hush@host:8123", "exactly a host and a database"),
        ("clickhouse:///readings", "exactly a host and a database"),
        ("clickhouse://u:hush@h/d/e", "exactly a host and a database"),
        ("clickhouse://u:hush@h:x/d", "host or port"),
        ("chdb://var/readings", "absolute path"),
    ],
)
def test_an_address_that_cannot_be_meant_is_refused_without_repeating_it(
    url: str, words: str
) -> None:
    with pytest.raises(ImproperlyConfigured, match=words) as refused:
        Address.of(url)
    assert "hush" not in str(refused.value)


def test_a_server_that_is_not_there_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    address = Address.of(f"clickhouse://tele:hush-hush@127.0.0.1:{port}/readings")
    assert address is not None

    with pytest.raises(RowsAway) as away:
        Server(address).rows("SELECT 1")

    assert f"ClickHouse at 127.0.0.1:{port}" in str(away.value)
    assert "Connection refused. Start it, or correct READINGS_URL" in str(away.value)
    assert "hush-hush" not in str(away.value)


class Unfriendly(BaseHTTPRequestHandler):
    """Answers as ClickHouse does when it does not want to."""

    code = 0

    def do_POST(self) -> None:
        body = f"Code: {self.code}. DB::Exception: no".encode()
        self.send_response(403)
        self.send_header("X-ClickHouse-Exception-Code", str(self.code))
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.mark.parametrize(
    ("code", "kind", "words"),
    [
        (516, RowsRefused, "Correct user and password"),
        (81, RowsRefused, "no such database"),
        (243, RowsAway, "no room left"),
        (47, RowsRefused, "answered with an error"),
    ],
)
def test_what_the_server_refuses_is_told_with_what_to_change(
    code: int, kind: type[Exception], words: str
) -> None:
    handler = type("Handler", (Unfriendly,), {"code": code})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as unfriendly:
        threading.Thread(target=unfriendly.serve_forever).start()
        try:
            port = unfriendly.server_address[1]
            address = Address.of(f"clickhouse://tele:hush-hush@127.0.0.1:{port}/readings")
            assert address is not None
            with pytest.raises(kind, match=words) as refused:
                Server(address).rows("SELECT 1")
        finally:
            unfriendly.shutdown()
    assert "hush-hush" not in str(refused.value)


def test_parameters_are_whole_numbers_and_instants_alone() -> None:
    assert filled("a = %s AND b = %s", [1, EPOCH + timedelta(seconds=2)]) == "a = 1 AND b = 2000"
    for wrong in ("1 OR 1", 1.5, True, None):
        with pytest.raises(TypeError):
            filled("a = %s", [wrong])


@given(st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 9)), max_size=200))
def test_stretches_hold_every_span_and_are_few(drawn: list[tuple[int, int]]) -> None:
    spans = [(since, since + length) for since, length in drawn]

    found = stretches(spans)

    assert len(found) <= STRETCHES
    assert found == sorted(found)
    assert all(before[1] < after[0] for before, after in pairwise(found))
    assert all(any(s <= since and until <= u for s, u in found) for since, until in spans)
    # No more than a page of readings is read in vain where spans are few.
    if len(set(spans)) <= STRETCHES:
        assert {one for s, u in found for one in range(s, u)} == {
            one for since, until in spans for one in range(since, until)
        }


def test_a_table_of_a_cluster_is_dropped_from_where_its_rows_are() -> None:
    spread = "Distributed('wells', 'telemetry', 'readings_row_local', stream_id)"

    assert placed("telemetry", "readings_row", spread) == Place(
        "telemetry", "readings_row_local", "wells"
    )
    assert placed("telemetry", "readings_row", spread).target == (
        "telemetry.readings_row_local ON CLUSTER 'wells'"
    )
    assert placed("telemetry", "readings_row", "ReplacingMergeTree(version) …").target == (
        "telemetry.readings_row"
    )


@pytest.mark.parametrize("distributed", [False, True])
def test_the_statements_for_a_cluster(distributed: bool) -> None:
    output = StringIO()

    call_command("readings_tables", cluster="wells", distributed=distributed, stdout=output)

    made = output.getvalue().splitlines()
    assert len(made) == len(COLUMNS) * (2 if distributed else 1)
    assert all("ON CLUSTER 'wells'" in one for one in made)
    assert "'/clickhouse/tables/{shard}/{database}/{table}', '{replica}', version)" in made[0]
    with pytest.raises(CommandError, match="no name of a cluster"):
        call_command("readings_tables", cluster="a'b", stdout=output)
