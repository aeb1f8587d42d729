"""ClickHouse's engine behind ClickHouse's HTTP interface: what the site meets in production.

`python -m scripts.clickhouse DIRECTORY PORT USER:PASSWORD`. ClickHouse's server is in no registry
that a newcomer needs; its engine is (chdb). The HTTP side is this file, which knows what
clickhouse-connect asks for: statements, settings as parameters, blocks in Native format.
"""

from __future__ import annotations

import atexit
import base64
import gzip
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

ROOT = Path(__file__).resolve().parent.parent
CREDENTIALS = "tests:only"
_OF_THE_TRANSPORT = {"query", "database", "client_protocol_version", "query_id", "compress"}
_OF_THE_TRANSPORT |= {"decompress", "session_id", "enable_http_compression", "quota_key"}
_OF_THE_TRANSPORT |= {"wait_end_of_query", "buffer_size", "role", "session_timeout"}
_OF_THE_TRANSPORT |= {"send_progress_in_http_headers", "http_headers_progress_interval_ms"}
_INSERT = re.compile(rb"\s*INSERT INTO .*?FORMAT Native\n?", re.DOTALL)
_FORMAT = re.compile(r"\bFORMAT\s+(\w+)\s*$")
_CODE = re.compile(r"Code: (\d+)")
_NOT_LET_IN = "Code: 516. DB::Exception: Authentication failed. (AUTHENTICATION_FAILED)"


class Refused(Exception):
    """What ClickHouse answers instead of rows."""


class Engine:
    """One engine, asked by one at a time."""

    def __init__(self, directory: str) -> None:
        """Open the directory; it is made if it is not there."""
        import chdb  # half a second and 200 MB, which only the server's process needs

        self._lock = threading.Lock()
        self._connection = chdb.connect(directory)  # type: ignore[no-untyped-call]

    def answer(self, sql: str, settings: Mapping[str, str], database: str, blocks: bytes) -> bytes:
        """What a statement gives, in the format that it names. Raises Refused."""
        with self._lock:
            try:
                if database:
                    self._connection.query(f"USE `{database}`")
                for name, value in settings.items():
                    self._connection.query(f"SET {name} = '{value}'")
                return self._inserted(sql, blocks) if blocks else self._asked(sql)
            except Exception as error:  # chdb has no error of its own
                raise Refused(str(error)) from error

    def _asked(self, sql: str) -> bytes:
        named = _FORMAT.search(sql)
        form = named[1] if named else "TabSeparated"
        answer: bytes = self._connection.query(_FORMAT.sub("", sql), form).bytes()
        return answer

    def _inserted(self, sql: str, blocks: bytes) -> bytes:
        with tempfile.NamedTemporaryFile(suffix=".native") as file:
            file.write(blocks)
            file.flush()
            into = _FORMAT.sub("", sql.strip())
            self._connection.query(f"{into} FROM INFILE '{file.name}' FORMAT Native")
        return b""


class Handler(BaseHTTPRequestHandler):
    """ClickHouse's HTTP interface, as far as clickhouse-connect uses it."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # an answer leaves in one piece, or the next one waits for an acknowledgement
    disable_nagle_algorithm = True
    engine: Engine
    credentials: str

    def do_GET(self) -> None:
        """A ping, or a question in the address."""
        if urlsplit(self.path).path == "/ping":
            self._say(200, b"Ok.\n")
        else:
            self._serve(b"")

    def do_POST(self) -> None:
        """A statement in the body or the address; what is inserted follows it."""
        self._serve(self._body())

    def _serve(self, body: bytes) -> None:
        given = base64.b64encode(self.credentials.encode()).decode()
        if self.headers.get("Authorization") != f"Basic {given}":
            self._refuse(_NOT_LET_IN)
            return
        asked = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        statement, blocks = asked.get("query", "").encode(), body
        inserts = _INSERT.match(body)
        if inserts:
            statement, blocks = inserts[0], body[inserts.end() :]
        elif not statement:
            statement, blocks = body, b""
        settings = {name: one for name, one in asked.items() if name not in _OF_THE_TRANSPORT}
        database = asked.get("database", "")
        try:
            answer = self.engine.answer(statement.decode(), settings, database, blocks)
        except Refused as error:
            self._refuse(str(error))
        else:
            self._say(200, answer)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            parts = []
            while size := int(self.rfile.readline(), 16):
                parts.append(self.rfile.read(size))
                self.rfile.readline()
            self.rfile.readline()
            body = b"".join(parts)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        packed = self.headers.get("Content-Encoding", "")
        if packed == "lz4":
            from lz4 import frame  # type: ignore[import-untyped]  # clickhouse-connect's

            return bytes(frame.decompress(body))
        return gzip.decompress(body) if packed == "gzip" else body

    def _refuse(self, message: str) -> None:
        code = _CODE.search(message)
        self._say(500, message.encode(), {"X-ClickHouse-Exception-Code": code[1] if code else "0"})

    def _say(self, status: int, content: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing."""


def start() -> str:
    """A server of this process's own, empty, gone with it; its address for READINGS_URL."""
    directory = tempfile.mkdtemp(prefix="telemetry-clickhouse-")
    server = subprocess.Popen(  # noqa: S603 - this file, by this Python
        [sys.executable, "-m", "scripts.clickhouse", directory, "0", CREDENTIALS],
        cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    atexit.register(shutil.rmtree, directory, ignore_errors=True)
    atexit.register(server.kill)
    assert server.stdout is not None  # noqa: S101 - a pipe was asked for
    port = int(server.stdout.readline())
    return f"clickhouse://{CREDENTIALS}@127.0.0.1:{port}/default"


def main(directory: str, port: str, credentials: str) -> None:
    """Print the port (0: any that is free) and serve until standard input ends."""
    Handler.engine, Handler.credentials = Engine(directory), credentials
    server = ThreadingHTTPServer(("127.0.0.1", int(port)), Handler)
    sys.stdout.write(f"{server.server_address[1]}\n")
    sys.stdout.flush()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])
