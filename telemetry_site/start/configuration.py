"""What the environment says about this copy of the site: addresses, ports, directories."""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import environ

from telemetry_site.embedded import valkey
from telemetry_site.start.console import Problem

PROJECT = Path(__file__).resolve().parent.parent.parent
LAST_PORT = 65535
OFF = ("0", "false", "no", "off")
SIMULATED_HOST = "127.0.0.1/32"
"""The one private address that the demonstration must be allowed to poll."""
DEMONSTRATION_FILE = "demonstration"
"""In DATA_DIR while the demonstration runs."""


@dataclass(frozen=True)
class Configuration:
    """One copy of the site; a second one runs beside it with another PORT and DATA_DIR."""

    data_dir: Path
    host: str
    port: int
    simulator_port: int
    valkey_port: int
    redis_url: str | None
    site_url: str
    demo: bool

    @property
    def valkey_dir(self) -> Path:
        """Where the embedded Valkey keeps its data."""
        return self.data_dir / "valkey"

    @property
    def simulator_url(self) -> str:
        """Address of the bundled ThingSpeak simulator."""
        return f"http://127.0.0.1:{self.simulator_port}"

    @property
    def manage(self) -> str:
        """How to run a management command on this copy, as typed in the project's directory."""
        usual = self.data_dir == PROJECT / "var"
        directory = "" if usual else f"DATA_DIR={shlex.quote(str(self.data_dir))} "
        return f"{directory}.venv/bin/python manage.py"


def read_env_file() -> None:
    """Take variables from `.env` beside manage.py; what the environment says already wins."""
    file = PROJECT / ".env"
    if file.is_file():
        environ.Env.read_env(file)


def data_dir(environment: Mapping[str, str]) -> Path:
    """DATA_DIR as an absolute path; `var` in the project by default."""
    return Path(environment.get("DATA_DIR") or PROJECT / "var").resolve()


def use_embedded_redis() -> None:
    """Point REDIS_URL at this copy's embedded Valkey where nothing else is named."""
    if os.environ.get("REDIS_URL"):
        return
    url = valkey.configured_url(data_dir(os.environ) / "valkey")
    if url:
        os.environ["REDIS_URL"] = url


def mark_demonstration(directory: Path, *, running: bool) -> None:
    """Tell commands whether a demonstration runs on this DATA_DIR: only a start knows its DEMO."""
    file = directory / DEMONSTRATION_FILE
    if running:
        file.touch(mode=0o600)
    else:
        file.unlink(missing_ok=True)


def use_demonstration() -> None:
    """Let a command ask the simulator, as the demonstration may that runs beside it."""
    running = (data_dir(os.environ) / DEMONSTRATION_FILE).is_file()
    if running and _demo(os.environ):
        allow_simulator(os.environ)


def allow_simulator(environment: MutableMapping[str, str]) -> None:
    """Add the simulator's address to the private networks that may be asked."""
    networks = filter(None, [environment.get("ALLOWED_PRIVATE_NETWORKS"), SIMULATED_HOST])
    environment["ALLOWED_PRIVATE_NETWORKS"] = ",".join(networks)


def read(environment: Mapping[str, str]) -> Configuration:
    """Read the configuration; raises Problem on a value that cannot be meant."""
    port = _port(environment, "PORT", 8000)
    return Configuration(
        data_dir=data_dir(environment),
        host=environment.get("HOST") or "127.0.0.1",
        port=port,
        simulator_port=_port(environment, "SIMULATOR_PORT", port + 1),
        valkey_port=_port(environment, "VALKEY_PORT", port + 2),
        redis_url=environment.get("REDIS_URL") or None,
        site_url=_site_url(environment, port),
        demo=_demo(environment),
    )


def _demo(environment: Mapping[str, str]) -> bool:
    return environment.get("DEMO", "1").lower() not in OFF


def _port(environment: Mapping[str, str], name: str, default: int) -> int:
    text = environment.get(name) or str(default)
    if not text.isdecimal() or not 1 <= int(text) <= LAST_PORT:
        raise Problem(f"{name} must be a number from 1 to {LAST_PORT}, not '{text}'.")
    return int(text)


def _site_url(environment: Mapping[str, str], port: int) -> str:
    url = environment.get("SITE_URL") or f"http://127.0.0.1:{port}"
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise Problem(
            "SITE_URL must be the address that people type, such as https://water.example.org, "
            f"not '{url}'."
        )
    return url.rstrip("/")
