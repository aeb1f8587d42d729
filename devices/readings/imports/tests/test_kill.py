"""A worker killed by the kernel in the middle of an import: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from devices.models import Job, JobState
from devices.readings.imports import working
from devices.readings.imports.choices import Choices
from devices.readings.imports.tests.scene import Tank
from devices.readings.samples import Sample
from devices.readings.store import get_store
from devices.readings.tests.network import START as BEGIN
from devices.readings.tests.network import minutes

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
    pytest.mark.timeout(240),
]
ROOT = Path(__file__).resolve().parents[4]
START = BEGIN.replace(year=2025)
ROWS = 7_000
# A worker that stops with a step's readings written, but not committed; it is never let go on.
WORKER = """
import sys
from datetime import timedelta
import django
django.setup()
from django.utils import timezone
from devices.jobs import work_on_jobs
from devices.readings.imports import working
steps, write = int(sys.argv[1]), working._store

def stop_after(samples):
    global steps
    write(samples)
    steps -= 1
    if steps == 0:
        print("written", flush=True)
        sys.stdin.read()

working._store = stop_after
work_on_jobs(timezone.now, timedelta(minutes=5))
print("ended", flush=True)
"""


def database_url() -> str:
    """The test database, for another process."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return f"{os.environ['TEST_DATABASE_URL'].rpartition('/')[0]}/{name}"


def work_until(steps: int) -> str:
    """Start a worker, and kill it where it stops; what it said."""
    environment = os.environ | {"TEST_DATABASE_URL": database_url()}
    if settings.READINGS_ADDRESS is not None:
        environment["TEST_READINGS_URL"] = os.environ["READINGS_URL"]
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(steps)],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with worker:
        assert worker.stdout is not None
        said = worker.stdout.readline().strip()
        worker.send_signal(signal.SIGKILL)
    return said


@pytest.mark.parametrize("form", ["csv", "xlsx"])
def test_an_import_survives_killed_workers(form: str) -> None:
    tank = Tank.make()
    level, state = tank.metrics["level_cm"].pk, tank.metrics["state"].pk
    get_store().write(
        [
            Sample(tank.device.pk, minutes(START, n), n + 1, {level: n / 4, state: f"s{n % 3}"})
            for n in range(ROWS)
        ]
    )
    data = tank.exported(form)
    other = Tank.make()
    job = working.start_import(other.uploaded(data), Choices(), None)
    connection.close()
    for steps, kept in ((1, 0), (3, 4000)):
        assert work_until(steps) == "written"
        job.refresh_from_db()
        assert job.state == JobState.RUNNING
        # Nothing of the step that was under way, where a transaction undoes it.
        if settings.READINGS_ADDRESS is None:
            assert len(other.values("level_cm")) == len(other.values("state")) == kept
        # Nobody waits for the lease of a dead worker here.
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        connection.close()
    assert work_until(0) == "ended"
    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.DONE, job.total)
    assert job.report["New readings"] + job.report["Already stored"] == 2 * ROWS
    assert settings.READINGS_ADDRESS is not None or job.report["Already stored"] == 0
    for name in ("level_cm", "state"):
        assert other.values(name) == tank.values(name)
