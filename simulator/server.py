"""HTTP/1.1 on plain asyncio, small enough to misbehave on purpose: resets, cut-off and dripping
bodies.

Requests of one connection are answered in order. Answers without a fault are written at once,
without a task, which is what makes some thousand live polls a second possible on one core.
"""

import asyncio
import socket
import struct
import sys
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import cast
from urllib.parse import parse_qsl, unquote, urlsplit

from simulator.messages import TEXT, Answer, Delivery, Request

Handler = Callable[[Request], Answer]

_MAX_HEAD = 32 * 1024
_MAX_BODY = 1024 * 1024
_COMMON = (
    "Access-Control-Allow-Origin: *\r\n"
    "Access-Control-Allow-Methods: GET, POST, PUT, OPTIONS, DELETE, PATCH\r\n"
    "Access-Control-Allow-Headers: origin, content-type, X-Requested-With\r\n"
    "Access-Control-Max-Age: 1800\r\n"
)
_REASONS = {status.value: status.phrase for status in HTTPStatus}


class BadRequest(Exception):
    """Bytes that are no request; `status` is what to answer before closing."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def parse_head(head: bytes) -> tuple[str, str, str, dict[str, str]]:
    """Method, target, version and headers of the bytes before the empty line."""
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if (
        len(words) != 3
        or words[2] not in {"HTTP/1.1", "HTTP/1.0"}
        or not words[1].startswith(("/", "http://"))
    ):
        raise BadRequest(400, "no HTTP request")
    headers = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or name != name.strip():
            raise BadRequest(400, "bad header")
        headers[name.lower()] = value.strip()
    return words[0], words[1], words[2], headers


def encode(answer: Answer, *, keep: bool) -> bytes:
    """Status line and headers of an answer."""
    lines = "".join(f"{name}: {value}\r\n" for name, value in answer.headers.items())
    return (
        f"HTTP/1.1 {answer.status} {_REASONS.get(answer.status, 'Unknown')}\r\n"
        f"Content-Type: {answer.content_type}\r\n"
        f"Content-Length: {len(answer.body)}\r\n"
        f"{_COMMON}{lines}Connection: {'keep-alive' if keep else 'close'}\r\n\r\n"
    ).encode("latin-1")


class Connection(asyncio.Protocol):
    """One client."""

    def __init__(self, handler: Handler, open_connections: set["Connection"]) -> None:
        self._handler = handler
        self._open = open_connections
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._transport: asyncio.Transport | None = None
        self._clogged = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's does not inherit from it
        self._open.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone: stop what was under way for it."""
        self._transport = None
        self._open.discard(self)
        if self._task:
            self._task.cancel()

    def pause_writing(self) -> None:
        """The client reads slowly: do not answer its next request yet."""
        self._clogged = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._clogged = False
        self._work()

    def data_received(self, data: bytes) -> None:
        """Bytes came in."""
        self._buffer += data
        self._work()

    def close(self) -> None:
        """End the connection now."""
        if self._transport:
            self._transport.abort()

    def _work(self) -> None:
        try:
            while self._transport and not self._task and not self._clogged and self._next():
                pass
        except BadRequest as error:
            self._buffer.clear()
            self._write(Answer(error.status, str(error).encode(), TEXT), keep=False, body=True)

    def _next(self) -> bool:
        """Answer one whole request of the buffer; False if there is none yet."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > _MAX_HEAD:
            if len(self._buffer) > _MAX_HEAD:
                raise BadRequest(431, "headers too long")
            return False
        method, target, version, headers = parse_head(bytes(self._buffer[:end]))
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            raise BadRequest(411, "Content-Length is needed")
        if int(length) > _MAX_BODY:
            raise BadRequest(413, "body too long")
        total = end + 4 + int(length)
        if len(self._buffer) < total:
            return False
        body = bytes(self._buffer[end + 4 : total])
        del self._buffer[:total]
        connection = headers.get("connection", "").lower()
        keep = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
        self._dispatch(method, target, headers, body, keep=keep)
        return True

    def _dispatch(
        self, method: str, target: str, headers: dict[str, str], body: bytes, *, keep: bool
    ) -> None:
        try:
            parts = urlsplit(target)
        except ValueError as error:
            raise BadRequest(400, "bad target") from error
        params = dict(parse_qsl(parts.query, keep_blank_values=True)) if parts.query else {}
        answer = self._answer(Request(method, target, unquote(parts.path), params, headers, body))
        if answer.delivery is None:
            self._write(answer, keep=keep, body=method != "HEAD")
            if answer.sent:
                answer.sent()
        else:
            self._task = asyncio.get_running_loop().create_task(
                self._deliver(answer, answer.delivery, keep=keep)
            )

    def _answer(self, request: Request) -> Answer:
        try:
            return self._handler(request)
        except Exception:
            # A bug must show on the console and to the client; the server goes on.
            traceback.print_exc(file=sys.stderr)
            return Answer(500, b"the simulator failed; see its console", TEXT)

    def _write(self, answer: Answer, *, keep: bool, body: bool) -> None:
        if self._transport is None:
            return
        self._transport.write(encode(answer, keep=keep) + (answer.body if body else b""))
        if not keep:
            self._transport.close()

    async def _deliver(self, answer: Answer, delivery: Delivery, *, keep: bool) -> None:
        """Send an answer late, in part or in drops; then continue with the next request."""
        try:
            if delivery.delay_s:
                await asyncio.sleep(delivery.delay_s)
            if delivery.reset_after is not None:
                self._reset((encode(answer, keep=False) + answer.body)[: delivery.reset_after])
            elif delivery.cut_fraction is not None:
                part = answer.body[: int(len(answer.body) * min(delivery.cut_fraction, 1))]
                self._write_and_close(encode(answer, keep=keep) + part)
            elif delivery.drip:
                await self._drip(encode(answer, keep=keep) + answer.body, *delivery.drip)
                if not keep:
                    self._write_and_close(b"")
            else:
                self._write(answer, keep=keep, body=True)
        finally:
            if answer.sent:
                answer.sent()
            self._task = None
        self._work()

    async def _drip(self, data: bytes, chunk: int, interval_s: float) -> None:
        for start in range(0, len(data), chunk):
            if self._transport is None:
                return
            self._transport.write(data[start : start + chunk])
            await asyncio.sleep(interval_s)

    def _write_and_close(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)
            self._transport.close()

    def _reset(self, data: bytes) -> None:
        """Send RST instead of a proper end: a socket that lingers for zero seconds does so when it
        is closed.
        """
        if self._transport is None:
            return
        if data:
            self._transport.write(data)
        sock = self._transport.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()


async def serve(
    handler: Handler, host: str, port: int, started: Callable[[int], None], stop: asyncio.Event
) -> None:
    """Serve until `stop`; `started` is told the real port. OSError if the address cannot be had."""
    connections: set[Connection] = set()
    server = await asyncio.get_running_loop().create_server(
        lambda: Connection(handler, connections), host, port, backlog=1024
    )
    started(server.sockets[0].getsockname()[1])
    await stop.wait()
    server.close()
    for connection in list(connections):
        connection.close()
    await server.wait_closed()
