"""A whole site under attack: more processes, clocks that are off, kills by name.

It is started as anybody starts it; what it polls is a judge outside of it.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import redis

from telemetry_site.embedded import valkey
from telemetry_site.start.supervisor import read_procfile
from telemetry_site.tests.whole_site import PROJECT, Site, parent, wait_for
from tests.chaos.judge import Judge
from tests.chaos.kept import InSQLite, Kept
from tests.chaos.plan import Account, Polled, to_json
from tests.chaos.static_files import borrow_static_files, lend_static_files

# A lease may have to end first, and a busy machine takes its time.
PATIENCE_S = 240


class Besieged(Site):
    """One copy of the site that polls a judge."""

    def __init__(self, directory: Path, judge: Judge, database: Kept | None = None) -> None:
        super().__init__(directory)
        self.judge = judge
        self.kept = database or InSQLite(self.data_dir / "telemetry.sqlite3")
        self.environment |= {
            "DATABASE_URL": self.kept.url,
            "ALLOWED_PRIVATE_NETWORKS": "127.0.0.1/32",
        }
        self._more: list[subprocess.Popen[bytes]] = []

    def open(self, accounts: Sequence[Account]) -> datetime:
        """Start it and tell it what to poll; the time from which nothing may be missing."""
        borrow_static_files(self.data_dir)
        self.start()
        lend_static_files(self.data_dir)
        began = datetime.now(UTC).replace(microsecond=0)  # entries are dated in whole seconds
        subprocess.run(
            [sys.executable, "-m", "tests.chaos.seed", self.judge.url, began.isoformat()],
            cwd=PROJECT,
            env=self.own_environment(),
            input=to_json(accounts).encode(),
            check=True,
        )
        return began

    def own_environment(self) -> dict[str, str]:
        """What the site's own processes are told, as its worker has it."""
        raw = Path(f"/proc/{self.main_process('worker')}/environ").read_bytes().decode()
        return dict(one.split("=", 1) for one in raw.split("\0") if "=" in one)

    def add(self, name: str, *, skew_s: float = 0.0) -> subprocess.Popen[bytes]:
        """One more process of the Procfile, whose clock is off by `skew_s`."""
        command = read_procfile(PROJECT / "Procfile")[name]
        number = len(self._more) + 1
        command = command.replace("python -m", f"python -m tests.chaos.skewed {skew_s}", 1)
        command = command.replace("@%h", f"@{number}.%h").replace("--concurrency 2", "-c 1")
        with (self.data_dir.parent / f"{name}-{number}.log").open("wb") as output:
            process = subprocess.Popen(  # noqa: S602  # the Procfile is shell, and ours
                command,
                shell=True,
                cwd=PROJECT,
                env=self.own_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self._more.append(process)
        return process

    def clear(self) -> None:
        """End everything, added processes and their children too."""
        super().clear()
        for process in self._more:
            process.kill()
            process.wait()

    def logs(self) -> str:
        """What every process of it printed."""
        files = sorted(self.data_dir.parent.glob("*.log"))
        return "\n".join(file.read_text(errors="replace") for file in files)

    # --- harm -------------------------------------------------------------------------------

    def kill(self, name: str) -> None:
        """Kill a process as the kernel does when memory runs out; another one takes its place."""
        victim = self.main_process(name)
        os.kill(victim, signal.SIGKILL)
        until(lambda: self.main_process(name) != victim, f"another {name} runs")

    def kill_children(self, name: str) -> None:
        """Kill whatever a process has started, in the middle of its work."""
        main = self.main_process(name)
        for pid in [one for one in self.processes() if parent(one) == main]:
            os.kill(pid, signal.SIGKILL)

    def wipe_valkey(self) -> None:
        """Kill Valkey together with all that it ever kept."""
        victim = self.main_process("valkey")
        os.kill(victim, signal.SIGSTOP)  # it must not write while its files go
        for file in (self.data_dir / "valkey").glob("appendonly*"):
            shutil.rmtree(file)
        os.kill(victim, signal.SIGKILL)
        until(lambda: self.main_process("valkey") != victim, "another Valkey runs")

    # --- what can be seen -------------------------------------------------------------------

    def redis_url(self) -> str:
        """Where its Valkey answers."""
        url = valkey.configured_url(self.data_dir / "valkey")
        assert url is not None
        return url

    def consumers(self) -> int:
        """How many workers and dispatchers wait for messages at this moment, or just got one."""
        with redis.Redis.from_url(self.redis_url()) as client:
            return sum(one["cmd"] == "brpop" for one in client.client_list())

    def succeeded(self, since: datetime) -> int:
        """How many sources were asked with success since then."""
        query = (
            "SELECT count(DISTINCT source_id) FROM ingestion_polllog "
            "WHERE lane = 'live' AND outcome IN ('ok', 'empty') AND at > ?"
        )
        return int(self.kept.rows(query, self.kept.instant(since))[0][0])

    def wait_until_flowing(self, sources: int) -> float:
        """Wait until so many sources are asked with success again; how many seconds that took."""
        began = datetime.now(UTC)
        until(lambda: self._flows(began, sources), f"{sources} sources are asked again")
        return (datetime.now(UTC) - began).total_seconds()

    def _flows(self, since: datetime, sources: int) -> bool:
        try:
            return self.succeeded(since) >= sources and self.get("/readyz") == 200
        except OSError:
            return False  # the web process is just being started again

    def wait_until_read(self, end: datetime) -> None:
        """Wait until everything up to `end` was read: cursors beyond it, no gap left open."""
        unread = (
            "SELECT count(*) FROM ingestion_pollstate WHERE cursor_at IS NULL OR cursor_at <= ?"
        )
        gaps = "SELECT count(*) FROM ingestion_gap WHERE state IN ('open', 'filling')"

        def everything() -> bool:
            left: int = self.kept.rows(unread, self.kept.instant(end))[0][0]
            return not left and not self.kept.rows(gaps)[0][0]

        until(everything, f"everything up to {end:%H:%M:%S} is read")

    def wait_for_cursors(self, channels: Sequence[Polled], end: datetime) -> None:
        """Wait until these channels were read beyond `end`."""
        query = """
            SELECT channel.channel_id FROM ingestion_pollstate state
            JOIN devices_thingspeakchannel channel ON channel.source_ptr_id = state.source_id
            WHERE state.cursor_at > ?
        """
        wanted = {one.channel for one in channels}
        at = self.kept.instant(end)
        until(lambda: wanted <= {one for (one,) in self.kept.rows(query, at)}, "they are read")

    def differences(
        self, start: datetime, end: datetime, channels: Sequence[Polled] | None = None
    ) -> tuple[int, int, int]:
        """Rows that the judge has and the site has not, the reverse, and how many were compared.

        Of the channels that are named, else of the whole fleet.
        """
        kept = self.kept.readings()
        first, last = int(start.timestamp()), int(end.timestamp())
        lost = added = compared = 0
        for one in self.judge.polled() if channels is None else channels:
            provided = self.judge.rows(one.channel, start, end)
            own = kept.get(one.channel, Counter())
            found = Counter({row: n for row, n in own.items() if first <= row[0] <= last})
            lost += (provided - found).total()
            added += (found - provided).total()
            compared += provided.total()
        return lost, added, compared

    def alerts(self) -> list[tuple[str, str]]:
        """Kind and text of every alert that was ever opened."""
        return self.kept.rows("SELECT kind, text FROM alerts_alert ORDER BY opened_at")


def until(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for something; says what never happened."""
    try:
        wait_for(condition, seconds)
    except AssertionError as error:
        raise AssertionError(f"it never happened within {seconds:.0f} s: {what}") from error


def ago(seconds: float) -> datetime:
    """The time so many seconds ago."""
    return datetime.now(UTC) - timedelta(seconds=seconds)
