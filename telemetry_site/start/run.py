"""The order of a start, read from top to bottom, and the order of the stop."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import FrameType

import redis

from telemetry_site.embedded import valkey
from telemetry_site.start import configuration as conf
from telemetry_site.start import ground, ready
from telemetry_site.start.configuration import Configuration
from telemetry_site.start.console import Problem, complain, frame, say, step
from telemetry_site.start.supervisor import ProcessEnded, Supervisor, read_procfile

ALIVE_WITHIN_S = 60.0
READY_WITHIN_S = 45.0
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME_SIGNAL_S = 1.0


class StopAsked(BaseException):
    """Ctrl-C, SIGTERM, or the terminal was closed. Not an Exception: nothing may swallow it."""


class Stopping:
    """Turns the first stop signal into StopAsked, and the next one, a second later, again.

    Terminals and `timeout` often send one request twice (to the process and to its group).
    """

    def __init__(self) -> None:
        """Take over the stop signals."""
        self._first: float | None = None
        for number in STOP_SIGNALS:
            signal.signal(number, self._receive)

    def _receive(self, number: int, _: FrameType | None) -> None:
        now = time.monotonic()
        if self._first is not None and now - self._first < SAME_SIGNAL_S:
            return
        self._first = now
        raise StopAsked(signal.Signals(number).name)


def main() -> int:
    """Start the site and stay until it is asked to stop; the exit code of the program."""
    os.umask(0o077)
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")
    Stopping()
    conf.read_env_file()
    try:
        configuration = conf.read(os.environ)
        return _Site(configuration).run()
    except Problem as problem:
        complain(problem)
        return 1
    except StopAsked:
        return 1


class _Site:
    """One start: what it has opened, it closes."""

    def __init__(self, configuration: Configuration) -> None:
        self._configuration = configuration
        self._password: str | None = None
        self._supervisor: Supervisor | None = None

    def run(self) -> int:
        """Start, show the way in, stay; 0 after a stop that was asked for."""
        directory = self._configuration.data_dir
        known = (directory / ground.LOCK_FILE).exists()
        lock = ground.claim_directory(directory)
        say(f"{'Continuing with' if known else 'Setting up'} DATA_DIR {directory}")
        try:
            self._start()
            self._show_the_way_in()
            while True:
                self._relay(3600)
        except StopAsked:
            self._tell_password()
            say("Stopping: web and worker first, then what they lean on. Ctrl-C again to hurry.")
            return self._stop()
        except ProcessEnded as end:
            self._tell_password()
            self._stop()
            complain(end, "The site stopped.")
            return 1
        except BaseException:
            self._tell_password()
            self._stop()
            raise
        finally:
            conf.mark_demonstration(directory, running=False)
            lock.close()

    def _start(self) -> None:
        c = self._configuration
        with step("Keys are in place") as current:
            if ground.ensure_secret_key(c.data_dir):
                current.detail = "made"
            new_key = ground.new_encryption_key(c.data_dir)
        with step("Ports are free"):
            ground.check_ports(c)
        environment = self._environment(new_key)
        conf.mark_demonstration(c.data_dir, running=c.demo)
        self._supervisor = Supervisor(self._commands(), environment, conf.PROJECT)
        self._start_redis(environment["REDIS_URL"])
        self._prepare(environment, new_key=new_key is not None)
        for name in ("simulator", "web", "dispatcher", "worker", "beat"):
            if name in self._commands():
                self._supervisor.start(name)
        self._wait_until_ready()

    def _commands(self) -> dict[str, str]:
        """The Procfile, without what the configuration makes superfluous."""
        c = self._configuration
        unwanted = {
            name
            for name, wanted in (("simulator", c.demo), ("valkey", c.redis_url is None))
            if not wanted
        }
        commands = read_procfile(conf.PROJECT / "Procfile")
        return {name: text for name, text in commands.items() if name not in unwanted}

    def _environment(self, new_key: str | None) -> dict[str, str]:
        """What all processes get: the configuration, spelled out, and this Python first in PATH."""
        c = self._configuration
        environment = os.environ | {
            "DATA_DIR": str(c.data_dir),
            "HOST": c.host,
            "PORT": str(c.port),
            "SIMULATOR_PORT": str(c.simulator_port),
            "VALKEY_PORT": str(c.valkey_port),
            "SITE_URL": c.site_url,
            "REDIS_URL": c.redis_url or self._configure_valkey(),
            "DJANGO_SETTINGS_MODULE": "telemetry_site.settings",
            "PYTHONUNBUFFERED": "1",
            "PATH": os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
            ),
        }
        if c.demo:
            conf.allow_simulator(environment)
        if new_key:
            environment["FIELD_ENCRYPTION_KEY"] = new_key
        return environment

    def _configure_valkey(self) -> str:
        try:
            valkey.binary()
        except valkey.NoBundledValkey as error:
            raise Problem(
                f"{error}\nInstall Redis or Valkey and name it: REDIS_URL=redis://127.0.0.1:6379/0"
            ) from error
        return valkey.configure(self._configuration.valkey_dir, self._configuration.valkey_port)

    def _start_redis(self, url: str) -> None:
        if self._configuration.redis_url is not None:
            with step("Redis at REDIS_URL answers"):
                ground.check_redis(url)
            return
        with step("Valkey answers"):
            self._supervised.start("valkey")
            try:
                self._wait(lambda: _answers(url), 30, "Valkey does not answer; see above.")
            except Problem:
                self._supervised.show("valkey")
                raise

    def _prepare(self, environment: dict[str, str], *, new_key: bool) -> None:
        """Run `prepare` as a process; its pipe brings a new administrator's password."""
        receiver, sender = os.pipe()
        command = [sys.executable, "-m", "telemetry_site.start.prepare", "--answer", str(sender)]
        command += ["--new-key"] if new_key else []
        if self._configuration.demo:
            command += ["--simulator-url", self._configuration.simulator_url]
        process = subprocess.Popen(  # noqa: S603  # our own module
            command, cwd=conf.PROJECT, env=environment, pass_fds=[sender], start_new_session=True
        )
        os.close(sender)
        with os.fdopen(receiver) as answer:
            try:
                while process.poll() is None:
                    self._relay(0.1)
            finally:
                process.terminate()
                process.wait()
                # Also after a failure: the administrator may exist already.
                said = {key: text for line in answer for key, text in json.loads(line).items()}
                self._password = said.get("password")
        if process.returncode:
            raise Problem(said.get("problem", "The preparation failed; its words are above."))

    def _wait_until_ready(self) -> None:
        c = self._configuration
        with step("Web answers"):
            self._wait(
                lambda: ready.ask(c, "/healthz").good,
                ALIVE_WITHIN_S,
                f"The web process does not answer on {c.host}:{c.port}; its words are above.",
            )
        try:
            with step("Everything is ready"):
                self._wait(lambda: ready.ask(c, "/readyz").good, READY_WITHIN_S, "", pause=0.5)
        except Problem:
            say(f"The site runs, but says about itself: {ready.ask(c, '/readyz').body}")

    def _wait(
        self, done: Callable[[], bool], seconds: float, otherwise: str, *, pause: float = 0.1
    ) -> None:
        deadline = time.monotonic() + seconds
        while not done():
            if time.monotonic() > deadline:
                raise Problem(otherwise)
            self._relay(pause)

    @property
    def _supervised(self) -> Supervisor:
        if self._supervisor is None:
            raise RuntimeError("no process was started yet")
        return self._supervisor

    def _relay(self, seconds: float) -> None:
        self._supervised.relay(seconds)

    def _show_the_way_in(self) -> None:
        c = self._configuration
        new_password = f"{c.manage} changepassword admin"
        lines = [f"The site is running at  {c.site_url}", ""]
        if self._password:
            lines += [
                f"Login:  admin   {self._password}   (shown only now; keep it)",
                f"Another password:  {new_password}",
            ]
            self._password = None
        else:
            lines.append(f"Login as before. Password lost?  {new_password}")
        lines += [
            f"Your own ThingSpeak channel:  {c.site_url}/admin/",
            "",
            f"Data and keys:  {c.data_dir}",
            "Back up this directory whole: without its keys the credentials in it are lost.",
        ]
        if os.environ.get("READINGS_URL"):
            lines += [
                "Readings are not in it but in ClickHouse (READINGS_URL). A backup of both:",
                f"{c.manage} backup   (of a cluster: docs/scale.md)",
            ]
        lines.append("Ctrl-C stops everything; the next start continues here.")
        frame(lines)

    def _tell_password(self) -> None:
        """Show the password of an administrator just created, whatever else went wrong."""
        if self._password:
            say(f"The administrator was created: admin {self._password} (shown only now; keep it)")
            self._password = None

    def _stop(self) -> int:
        if self._supervisor is None:
            return 0
        try:
            with step("All stopped"):
                self._supervisor.stop()
        except StopAsked:
            self._supervisor.kill()
        return 0


def _answers(url: str) -> bool:
    try:
        ground.ping(url)
    except (redis.RedisError, OSError):
        return False
    return True
