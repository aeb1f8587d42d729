"""The HTTP server over real sockets: keep-alive, pipelining, bad requests, broken transport."""

import http.client
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import pytest

from simulator.testing import RunningSimulator
from simulator.tests.conftest import PUMP, TANK

FEEDS = f"/channels/{TANK}/feeds.json?results=50"


def _address(running: RunningSimulator) -> tuple[str, int]:
    parts = urlsplit(running.url)
    return str(parts.hostname), int(parts.port or 0)


def _get(running: RunningSimulator, path: str = FEEDS) -> tuple[int, bytes]:
    client = http.client.HTTPConnection(*_address(running), timeout=20)
    try:
        client.request("GET", path)
        response = client.getresponse()
        return response.status, response.read()
    finally:
        client.close()


def _raw(running: RunningSimulator, data: bytes) -> bytes:
    """Everything that comes back for these bytes until the server closes."""
    with socket.create_connection(_address(running), timeout=20) as sock:
        sock.sendall(data)
        received = b""
        while part := sock.recv(65536):
            received += part
        return received


def test_one_connection_serves_many_requests(running: RunningSimulator) -> None:
    client = http.client.HTTPConnection(*_address(running), timeout=20)
    sources = set()
    for _ in range(3):
        client.request("GET", FEEDS)
        response = client.getresponse()
        assert response.getheader("Content-Length") == str(len(response.read()))
        assert response.getheader("Access-Control-Allow-Origin") == "*"
        sources.add(client.sock.getsockname())
    client.close()
    assert len(sources) == 1


def test_pipelined_requests_are_answered_in_order(running: RunningSimulator) -> None:
    running.fault("latency", seconds=0.1, channel=TANK)
    request = "GET /channels/{}/last_entry_id.json HTTP/1.1\r\nHost: x\r\n{}\r\n"
    data = request.format(TANK, "") + request.format(PUMP, "Connection: close\r\n")
    received = _raw(running, data.encode())
    first, second = (
        int(part.rsplit(b"\r\n\r\n")[-1]) for part in received.split(b"HTTP/1.1 200 OK")[1:]
    )
    assert first < second  # the pump reports more often than the tank


def test_head_options_and_http_1_0(running: RunningSimulator) -> None:
    head = _raw(running, f"HEAD {FEEDS} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert head.endswith(b"\r\n\r\n")
    options = _raw(running, b"OPTIONS /channels/1/feeds.json HTTP/1.0\r\n\r\n")
    assert b"Access-Control-Allow-Methods: GET, POST, PUT, OPTIONS, DELETE, PATCH" in options


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"hello\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nbroken\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", b"411"),
        (b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n", b"413"),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000, b"431"),
    ],
)
def test_bytes_that_are_no_request_are_refused(
    running: RunningSimulator, data: bytes, status: bytes
) -> None:
    assert _raw(running, data).startswith(b"HTTP/1.1 " + status)
    assert _get(running)[0] == 200


def test_reset_is_a_reset(running: RunningSimulator) -> None:
    running.fault("reset", requests=1)
    with pytest.raises(ConnectionResetError):
        _get(running)
    running.fault("reset", requests=1, after_bytes=400)
    with pytest.raises((ConnectionResetError, http.client.IncompleteRead)):
        _get(running)
    assert _get(running)[0] == 200


def test_a_cut_off_body_is_shorter_than_promised(running: RunningSimulator) -> None:
    running.fault("cutoff", requests=1, fraction=0.3)
    with pytest.raises(http.client.IncompleteRead) as caught:
        _get(running)
    assert len(caught.value.partial) > 100
    assert _get(running)[0] == 200


def test_a_slow_drip_takes_its_time_and_arrives_whole(running: RunningSimulator) -> None:
    expected = _get(running, f"/channels/{TANK}/feeds/1.json")
    running.fault("drip", requests=1, chunk=100, interval_s=0.05)
    begun = time.monotonic()
    assert _get(running, f"/channels/{TANK}/feeds/1.json") == expected
    assert time.monotonic() - begun > 0.2


def test_latency_delays_and_the_journal_counts_what_is_in_flight(running: RunningSimulator) -> None:
    running.fault("latency", seconds=1.5, channel=TANK)
    begun = time.monotonic()
    with ThreadPoolExecutor(5) as pool:
        assert [status for status, _ in pool.map(lambda _: _get(running), range(5))] == [200] * 5
    assert time.monotonic() - begun >= 1.49
    journal = running.control(f"journal?channel={TANK}")
    assert journal["channels"][str(TANK)]["in_flight_max"] == 5
    assert journal["channels"][str(TANK)]["in_flight"] == 0
    # A timer may fire a millisecond early.
    assert all(visit["duration_s"] >= 1.49 for visit in journal["requests"])
    assert journal["requests"][0]["faults"] == ["latency"]


def test_a_client_that_leaves_early_does_not_stay_in_flight(running: RunningSimulator) -> None:
    running.fault("latency", seconds=60, channel=TANK)
    with socket.create_connection(_address(running), timeout=20) as sock:
        sock.sendall(f"GET {FEEDS} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        deadline = time.monotonic() + 10
        while not running.control("journal")["total"]["in_flight"]:
            assert time.monotonic() < deadline
    while running.control("journal")["total"]["in_flight"]:
        assert time.monotonic() < deadline
