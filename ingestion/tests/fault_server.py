"""A small HTTP server of raw sockets that plays what goes wrong out there."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

Play = Callable[["Peer"], None]


@dataclass
class Peer:
    """One connection, seen from the server."""

    sock: socket.socket
    gone: threading.Event

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, body: bytes, status: str = "200 OK", *headers: str) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    def reset(self) -> None:
        """Close with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    def drip(self, data: bytes, every_s: float) -> None:
        """One byte at a time, until the test is over or the client has gone."""
        for byte in data:
            if self.gone.wait(every_s):
                return
            self.send(bytes([byte]))

    def silence(self) -> None:
        """Say nothing until the test is over."""
        self.gone.wait()


@dataclass
class FaultServer:
    """Answers each path with its play; remembers requests and counts connections."""

    plays: dict[str, Play]
    tls: ssl.SSLContext | None = None
    requests: list[bytes] = field(default_factory=list)
    connections: int = 0

    @contextlib.contextmanager
    def running(self) -> Iterator[str]:
        """The server's address while it runs."""
        gone = threading.Event()
        threads: list[threading.Thread] = []
        with socket.create_server(("127.0.0.1", 0)) as listener:
            accepting = threading.Thread(target=self._accept, args=(listener, gone, threads))
            accepting.start()
            scheme = "https" if self.tls else "http"
            try:
                yield f"{scheme}://127.0.0.1:{listener.getsockname()[1]}"
            finally:
                gone.set()
                listener.shutdown(socket.SHUT_RDWR)
                accepting.join(5)
                for thread in threads:
                    thread.join(5)

    def _accept(
        self, listener: socket.socket, gone: threading.Event, threads: list[threading.Thread]
    ) -> None:
        while not gone.is_set():
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threads.append(threading.Thread(target=self._serve, args=(sock, gone)))
            threads[-1].start()

    def _serve(self, sock: socket.socket, gone: threading.Event) -> None:
        sock.settimeout(5)
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            stack.callback(sock.close)
            if self.tls:
                sock = self.tls.wrap_socket(sock, server_side=True)
                stack.callback(sock.close)
            while not gone.is_set():
                head = self._head(sock, gone)
                if not head:
                    return
                self.requests.append(head)
                path = head.split(b" ")[1].split(b"?")[0].decode()
                self.plays[path](Peer(sock, gone))

    def _head(self, sock: socket.socket, gone: threading.Event) -> bytes:
        head = b""
        sock.settimeout(0.05)
        while not head.endswith(b"\r\n\r\n") and not gone.is_set():
            try:
                piece = sock.recv(4096)
            except TimeoutError:
                continue
            if not piece:
                return b""
            head += piece
        sock.settimeout(5)
        return head
