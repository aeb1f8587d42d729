"""Sending over real sockets: what comes back, what goes wrong, and what is never done."""

from __future__ import annotations

import gzip
import logging
import threading
import time
import traceback
from collections.abc import Iterator, Sequence

import pytest

from ingestion.resilience.policy import Timeouts
from ingestion.resilience.transport import (
    BodyCutOff,
    BodyTooLarge,
    ConnectFailed,
    CurlTransport,
    HttpRequest,
    HttpResponse,
    NameUnknown,
    RequestRefused,
    RequestsTransport,
    Sending,
    TimedOut,
    Transport,
    TransportError,
    host_of,
    send_one,
)
from ingestion.tests.fault_server import FaultServer, Peer

LOOPBACK = ["127.0.0.0/8"]
QUICK = Timeouts(connect_s=1, read_s=0.3, total_s=2)
SECRET = "ZX81QL3KSPECTRUM"


def drip_head(peer: Peer) -> None:
    peer.drip(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}" * 20, 0.1)


def drip_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    peer.drip(b"x" * 1000, 0.1)


def cut_off(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    peer.sock.close()


def cut_off_chunks(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n{")
    peer.sock.close()


def negative_chunk(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n" + b"0" * 2_500_000)
    peer.sock.close()


def reset_in_body(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{")
    peer.reset()


PLAYS = {
    "/ok": lambda peer: peer.answer(b"{}", "200 OK", "X-Kind: Test"),
    "/zipped": lambda peer: peer.answer(gzip.compress(b"[1]"), "200 OK", "Content-Encoding: gzip"),
    "/bomb": lambda peer: peer.answer(
        gzip.compress(b"0" * 3_000_000), "200 OK", "Content-Encoding: gzip"
    ),
    "/not-zipped": lambda peer: peer.answer(b"plain", "200 OK", "Content-Encoding: gzip"),
    "/large": lambda peer: peer.answer(b"0" * 2_000_001),
    "/moved": lambda peer: peer.answer(b"", "302 Found", "Location: /ok"),
    "/cookie": lambda peer: peer.answer(b"{}", "200 OK", "Set-Cookie: session=1; Path=/"),
    "/429": lambda peer: peer.answer(b"", "429 Too Many Requests", "Retry-After: 7"),
    "/twice": lambda peer: peer.answer(b"", "429 Slow down", "Retry-After: 120", "retry-after: 7"),
    "/silent": Peer.silence,
    "/drip-head": drip_head,
    "/drip-body": drip_body,
    "/cut-off": cut_off,
    "/cut-off-chunks": cut_off_chunks,
    "/negative-chunk": negative_chunk,
    "/reset-in-body": reset_in_body,
    "/reset": Peer.reset,
    "/no-http": lambda peer: peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
}


@pytest.fixture
def server() -> FaultServer:
    return FaultServer(dict(PLAYS))


@pytest.fixture
def base(server: FaultServer) -> Iterator[str]:
    with server.running() as address:
        yield address


KINDS: tuple[type[RequestsTransport] | type[CurlTransport], ...] = (
    RequestsTransport,
    CurlTransport,
)


@pytest.fixture(params=KINDS)
def transport(request: pytest.FixtureRequest) -> Transport:
    made: Transport = request.param(LOOPBACK, body_limit=2_000_000)
    return made


def get(transport: Transport, url: str, timeouts: Timeouts = QUICK) -> HttpResponse:
    return send_one(transport, HttpRequest(url, headers={"THINGSPEAKAPIKEY": SECRET}), timeouts)


def get_all(transport: Transport, urls: Sequence[str], timeouts: Timeouts = QUICK) -> list[str]:
    """What came of several requests at once, in the order in which it landed."""
    sendings = [Sending(key, HttpRequest(url), timeouts) for key, url in enumerate(urls)]
    return [
        f"{landed.key}:{getattr(landed.ending, 'status', type(landed.ending).__name__)}"
        for landed in transport.send(sendings)
        if landed is not None
    ]


def test_an_answer_comes_back_whole(base: str, transport: Transport) -> None:
    answer = get(transport, f"{base}/ok")
    assert (answer.status, answer.body, answer.header("x-KIND")) == (200, b"{}", "Test")
    assert get(transport, f"{base}/zipped").body == b"[1]"
    assert get(transport, f"{base}/429").header("Retry-After") == "7"
    assert get(transport, f"{base}/twice").header("Retry-After") == "120, 7"


def test_parameters_and_headers_arrive(
    base: str, server: FaultServer, transport: Transport
) -> None:
    request = HttpRequest(
        f"{base}/ok", {"start": "2026-11-20 21:58:00"}, {"THINGSPEAKAPIKEY": SECRET}
    )
    send_one(transport, request, QUICK)
    (head,) = server.requests
    assert head.startswith(b"GET /ok?start=2026-11-20+21%3A58%3A00 HTTP/1.1\r\n")
    assert f"THINGSPEAKAPIKEY: {SECRET}".encode() in head
    assert f"Host: {base.removeprefix('http://')}".encode() in head


def test_connections_are_kept_and_never_shared_between_threads(
    base: str, server: FaultServer, transport: Transport
) -> None:
    for _ in range(5):
        get(transport, f"{base}/ok")
    assert server.connections == 1
    arrived, answered = threading.Event(), threading.Event()

    def held(peer: Peer) -> None:
        arrived.set()
        assert answered.wait(5)
        peer.answer(b"{}")

    server.plays["/held"] = held
    other = threading.Thread(target=get, args=(transport, f"{base}/held", Timeouts(5, 5, 5)))
    other.start()
    assert arrived.wait(5)
    assert get(transport, f"{base}/ok").status == 200
    answered.set()
    other.join()
    assert server.connections == 2
    get(transport, f"{base}/ok")
    assert server.connections == 2


def test_of_many_at_once_a_slow_answer_keeps_no_other_waiting(base: str) -> None:
    endings = get_all(CurlTransport(LOOPBACK), [f"{base}/silent", *[f"{base}/ok"] * 20])
    assert sorted(endings[:-1]) == sorted(f"{key}:200" for key in range(1, 21))
    assert endings[-1] == "0:TimedOut"


def test_one_bad_address_harms_no_other(base: str, transport: Transport) -> None:
    urls = [f"{base}/reset", "ftp://x/", "http://127.0.0.1:1/", f"{base}/large", f"{base}/ok"]
    endings = dict(one.split(":") for one in get_all(transport, urls))
    assert endings == {
        "0": "ConnectFailed", "1": "AddressRefused", "2": "ConnectFailed", "3": "BodyTooLarge",
        "4": "200",
    }  # fmt: skip


def test_requests_are_taken_one_by_one_and_only_when_there_is_room(
    base: str, transport: Transport
) -> None:
    taken = []

    def requests() -> Iterator[Sending | None]:
        for key in range(3):
            taken.append(key)
            yield Sending(key, HttpRequest(f"{base}/ok"), QUICK)
            yield None

    landed = [one.key for one in transport.send(requests()) if one is not None]
    assert sorted(landed) == taken == [0, 1, 2]


def test_what_is_in_the_air_is_let_go_when_nobody_wants_it_any_more(base: str) -> None:
    transport = CurlTransport(LOOPBACK)
    sending = transport.send([Sending(0, HttpRequest(f"{base}/silent"), Timeouts(1, 1, 1))])
    assert next(sending) is None
    sending.close()  # type: ignore[attr-defined]
    assert get(transport, f"{base}/ok").status == 200


@pytest.mark.parametrize(
    ("path", "error"),
    [
        ("/silent", TimedOut),
        ("/drip-head", TimedOut),
        ("/drip-body", TimedOut),
        ("/cut-off", BodyCutOff),
        ("/cut-off-chunks", BodyCutOff),
        ("/negative-chunk", (BodyCutOff, ConnectFailed)),
        ("/reset-in-body", BodyCutOff),
        ("/not-zipped", BodyCutOff),
        ("/large", BodyTooLarge),
        ("/bomb", BodyTooLarge),
        ("/reset", ConnectFailed),
        ("/no-http", ConnectFailed),
    ],
)
def test_faults_are_told_apart_without_giving_away_what_was_sent(
    base: str,
    transport: Transport,
    path: str,
    error: type[TransportError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    begin = time.monotonic()
    with pytest.raises(error) as caught:
        get(transport, base + path, Timeouts(connect_s=1, read_s=0.3, total_s=0.6))
    assert time.monotonic() - begin < 4
    shown = "".join(traceback.format_exception(caught.value)) + caplog.text
    assert SECRET not in shown
    assert caught.value.__context__ is None
    assert get(transport, f"{base}/ok").status == 200  # the next request is not harmed


def test_a_slow_drip_ends_at_the_total_deadline(base: str, transport: Transport) -> None:
    begin = time.monotonic()
    with pytest.raises(TimedOut):
        get(transport, f"{base}/drip-body", Timeouts(connect_s=1, read_s=5, total_s=0.5))
    assert 0.4 < time.monotonic() - begin < 4  # read_s is 5


def test_nobody_listening(base: str, transport: Transport) -> None:
    with pytest.raises(ConnectFailed):
        get(transport, "http://127.0.0.1:1/ok")
    with pytest.raises(NameUnknown):
        get(transport, "http://no-such-host.invalid/ok")


def test_redirects_are_not_followed(base: str, server: FaultServer, transport: Transport) -> None:
    assert get(transport, f"{base}/moved").status == 302
    assert len(server.requests) == 1


def test_cookies_are_not_kept(base: str, server: FaultServer, transport: Transport) -> None:
    get(transport, f"{base}/cookie")
    get(transport, f"{base}/ok")
    assert b"cookie:" not in server.requests[1].lower()


def test_the_environment_does_not_redirect_requests(
    base: str, transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/nowhere")
    assert get(transport, f"{base}/ok").status == 200


@pytest.mark.parametrize("key", [f"{SECRET}\r\nX-Evil: 1", f"{SECRET}\u20ac"])
def test_a_header_that_cannot_be_sent_is_refused_without_quoting_it(
    base: str, transport: Transport, key: str
) -> None:
    with pytest.raises(RequestRefused) as caught:
        send_one(transport, HttpRequest(f"{base}/ok", headers={"THINGSPEAKAPIKEY": key}), QUICK)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert caught.value.__context__ is None


def test_a_breakers_host_is_scheme_name_and_port() -> None:
    assert host_of("https://API.ThingSpeak.com/x?y") == "https://api.thingspeak.com:443"
    assert host_of("http://10.0.0.1:8001") == "http://10.0.0.1:8001"
