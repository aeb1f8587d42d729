"""What must be in place before any process starts: directory, lock, keys, ports, Redis."""

from __future__ import annotations

import errno
import fcntl
import getpass
import os
import secrets
import socket
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import redis
from cryptography.fernet import Fernet

from telemetry_site.embedded import valkey
from telemetry_site.start.configuration import Configuration
from telemetry_site.start.console import Problem

SECRET_KEY_FILE = "secret.key"  # noqa: S105  # a file name
ENCRYPTION_KEY_FILE = "field_encryption.key"
LOCK_FILE = "start.lock"


def claim_directory(directory: Path) -> TextIO:
    """Make DATA_DIR (0700) and hold its lock as long as the returned file stays open.

    Two starts on one directory would run two brokers on one append-only file.
    """
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (directory / LOCK_FILE).open("a+")
    except OSError as error:
        raise Problem(
            f"DATA_DIR {directory} cannot be used by {_user()}: {error.strerror}.\n"
            "Give it to this user (chown), or choose another directory: "
            "make run DATA_DIR=~/telemetry"
        ) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.seek(0)
        raise Problem(
            f"This site is already running with DATA_DIR {directory} "
            f"(process {lock.read().strip()}).\n"
            "Stop that one with Ctrl-C, or start a second copy: "
            "make run PORT=8100 DATA_DIR=~/telemetry-2"
        ) from error
    lock.truncate(0)
    lock.write(f"{os.getpid()}\n")
    lock.flush()
    return lock


def ensure_secret_key(directory: Path) -> bool:
    """Make the key that signs sessions unless there is one; True when it was made.

    Losing it only logs everybody out, so it is made again without asking.
    """
    file = directory / SECRET_KEY_FILE
    if os.environ.get("SECRET_KEY") or file.exists():
        return False
    valkey.write_private(file, secrets.token_urlsafe(50))
    return True


def new_encryption_key(directory: Path) -> str | None:
    """A fresh key for stored credentials where there is none yet, else None.

    It is not written here: `prepare` keeps it only after seeing that the database was not written
    with another one. A new key over an existing database would lose every credential in it.
    """
    if os.environ.get("FIELD_ENCRYPTION_KEY") or (directory / ENCRYPTION_KEY_FILE).exists():
        return None
    return Fernet.generate_key().decode()


def check_ports(configuration: Configuration) -> None:
    """Raise Problem for the first port that cannot be listened on."""
    wanted = [("PORT", configuration.host, configuration.port)]
    if configuration.demo:
        wanted.append(("SIMULATOR_PORT", "127.0.0.1", configuration.simulator_port))
    if configuration.redis_url is None:
        wanted.append(("VALKEY_PORT", "127.0.0.1", configuration.valkey_port))
    for variable, host, port in wanted:
        _check_port(variable, host, port)


def _check_port(variable: str, host: str, port: int) -> None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except socket.gaierror as error:
        raise Problem(f"HOST '{host}' is no address of this machine: {error.strerror}.") from error
    except OSError as error:
        raise Problem(_port_problem(variable, host, port, error)) from error


def _port_problem(variable: str, host: str, port: int, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        other = "make run PORT=8100" if variable == "PORT" else f"make run {variable}={port + 100}"
        return (
            f"Port {port} ({variable}) is in use by another program.\n"
            f"Stop that program, or use another port: {other}"
        )
    if error.errno == errno.EACCES:
        return f"Port {port} ({variable}) may only be used by root. Use one above 1023: PORT=8000"
    return (
        f"Cannot listen on {host}:{port} ({variable}): {error.strerror}. Check HOST and {variable}."
    )


def check_redis(url: str) -> None:
    """Raise Problem unless the Redis or Valkey server at `url` answers a PING."""
    try:
        ping(url)
    except (redis.RedisError, ValueError, OSError) as error:
        # The URL holds a password, so only its host is shown; the error names the port.
        raise Problem(
            f"Redis at REDIS_URL ({urlsplit(url).hostname}) does not answer: {error}\n"
            "Start it, correct REDIS_URL, or unset REDIS_URL to use the bundled Valkey."
        ) from error


def ping(url: str) -> None:
    """Ask the server once; raises redis.RedisError or OSError."""
    with redis.Redis.from_url(url, socket_timeout=5, socket_connect_timeout=5) as client:
        client.ping()


def _user() -> str:
    try:
        return f"user '{getpass.getuser()}'"
    except (KeyError, OSError):  # a container may run under a number without a name
        return f"user number {os.getuid()}"
