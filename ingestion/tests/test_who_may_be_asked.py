"""Which servers are asked at all: no private network unless allowed, no invalid certificate."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from ingestion.resilience.policy import Timeouts
from ingestion.resilience.transport import (
    AddressRefused,
    ConnectFailed,
    CurlTransport,
    HttpRequest,
    HttpResponse,
    RequestsTransport,
    TimedOut,
    TlsFailed,
    Transport,
    send_one,
)
from ingestion.tests.fault_server import FaultServer, Peer

LOOPBACK = ["127.0.0.0/8"]
QUICK = Timeouts(connect_s=1, read_s=0.3, total_s=2)


def drip(peer: Peer) -> None:
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
    peer.drip(b"x" * 1000, 0.1)


PLAYS = {"/ok": lambda peer: peer.answer(b"{}"), "/drip-body": drip}


@pytest.fixture
def server() -> FaultServer:
    return FaultServer(dict(PLAYS))


@pytest.fixture
def base(server: FaultServer) -> Iterator[str]:
    with server.running() as address:
        yield address


Kind = type[RequestsTransport] | type[CurlTransport]


KINDS: tuple[Kind, ...] = (RequestsTransport, CurlTransport)


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Kind:
    """Each library."""
    made: Kind = request.param
    return made


def get(transport: Transport, url: str, timeouts: Timeouts = QUICK) -> HttpResponse:
    return send_one(transport, HttpRequest(url), timeouts)


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1", "localhost", "2130706433", "0x7f000001", "[::1]", "[::ffff:127.0.0.1]",
     "169.254.169.254", "10.0.0.1", "192.168.1.1", "100.64.0.1", "0.0.0.0",  # noqa: S104
     "[fec0::1]", "[::127.0.0.1]"],
)  # fmt: skip
def test_private_addresses_are_refused_unless_allowed(
    base: str, server: FaultServer, kind: Kind, host: str
) -> None:
    strict = kind()
    # a machine without IPv6 cannot even resolve an IPv6 address
    with pytest.raises((AddressRefused, ConnectFailed) if "[" in host else AddressRefused):
        get(strict, f"http://{host}:{base.rpartition(':')[2]}/ok")
    assert server.connections == 0


def test_an_allowed_network_does_not_open_others(
    base: str, server: FaultServer, kind: Kind
) -> None:
    elsewhere = kind(["10.0.0.0/8"])
    with pytest.raises(AddressRefused):
        get(elsewhere, f"{base}/ok")
    assert server.connections == 0


def test_a_host_can_be_allowed_by_name(base: str, kind: Kind) -> None:
    named = kind(["localhost"])
    assert get(named, base.replace("127.0.0.1", "localhost") + "/ok").status == 200


NAME = "pump-house.test"


def leads_to(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """Let the name lead to these addresses; libcurl has a resolver of its own."""
    resolve = socket.getaddrinfo

    def several(host: str, port: int, *args: Any, **kwargs: Any) -> Any:
        texts = addresses if host == NAME else (host,)
        return [one for text in texts for one in resolve(text, port, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", several)


def test_of_a_names_addresses_the_next_is_tried_where_one_does_not_answer(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    leads_to(monkeypatch, "127.0.0.9", "127.0.0.1")
    with server.running() as base:
        url = base.replace("127.0.0.1", NAME)
        assert get(RequestsTransport(LOOPBACK), f"{url}/ok").status == 200
        # what may not be asked is left out, wherever it stands
        assert get(RequestsTransport(["127.0.0.1"]), f"{url}/ok").status == 200
        with pytest.raises(ConnectFailed):
            get(RequestsTransport(["127.0.0.9"]), f"{url}/ok")
    (head, _) = server.requests
    assert f"Host: {url.removeprefix('http://')}".encode() in head


@contextmanager
def silence(address: str, port: int) -> Iterator[None]:
    """Whoever connects here waits: those in line fill it, and nobody takes them in."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind((address, port))
        listener.listen(0)
        for _ in range(3):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex((address, port))
        yield


def test_silent_addresses_leave_the_others_their_time_and_no_more(
    server: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = Timeouts(connect_s=1, read_s=1, total_s=2)
    with server.running() as base:
        url, port = base.replace("127.0.0.1", NAME), int(base.rpartition(":")[2])
        with silence("127.0.0.9", port):
            leads_to(monkeypatch, "127.0.0.9", "127.0.0.1")
            assert get(RequestsTransport(LOOPBACK), f"{url}/ok", limits).status == 200
            leads_to(monkeypatch, *["127.0.0.9"] * 8)
            begin = time.monotonic()
            with pytest.raises(TimedOut):
                get(RequestsTransport(LOOPBACK), f"{url}/ok", limits)
            assert time.monotonic() - begin < 4  # eight times connect_s would be 8


def test_a_name_that_cannot_exist_leads_nowhere(kind: Kind) -> None:
    with pytest.raises(ConnectFailed):
        get(kind(LOOPBACK), f"http://{'a' * 70}.example/")


def test_an_allow_list_with_a_slip_is_refused(kind: Kind) -> None:
    with pytest.raises(ValueError, match="host bits"):
        kind(["10.0.0.1/8"])


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/ok", "127.0.0.1/ok", "http://", "file:///etc/passwd", "http://a b/"]
)
def test_what_is_no_web_address_is_refused(kind: Kind, url: str) -> None:
    with pytest.raises(AddressRefused):
        get(kind(LOOPBACK), url)


def certificate(directory: Path) -> tuple[ssl.SSLContext, Path]:
    """A TLS context with a certificate for 127.0.0.1 that only its own file vouches for."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "fault server")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    file = directory / "server.pem"
    pem = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    file.write_bytes(pem + private)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return context, file


def test_only_certificates_that_are_valid_for_the_address_are_trusted(
    tmp_path: Path, kind: Kind
) -> None:
    context, file = certificate(tmp_path)
    server = FaultServer(dict(PLAYS), tls=context)
    with server.running() as base:
        with pytest.raises(TlsFailed):
            get(kind(LOOPBACK), f"{base}/ok")
        trusting = kind(LOOPBACK, verify=str(file))
        assert get(trusting, f"{base}/ok").status == 200
        with pytest.raises(TlsFailed):  # valid for 127.0.0.1, not for this name
            get(trusting, base.replace("127.0.0.1", "localhost") + "/ok")
        with pytest.raises(TimedOut):
            get(trusting, f"{base}/drip-body", Timeouts(connect_s=1, read_s=5, total_s=0.5))
    assert not [head for head in server.requests if b"localhost" in head]
