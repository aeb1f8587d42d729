"""A worker killed by the kernel in the middle of an import: nothing is lost, nothing is doubled."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from django.db import connection
from django.utils import timezone

from devices.models import Job, JobState
from ingestion.imports.tests.scene import channel, minutes, start, stored, upload
from ingestion.models import SourceEvent

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
    pytest.mark.timeout(180),
]

ROOT = Path(__file__).resolve().parents[3]
ROWS = 10_500
# A worker that stops with a step's readings written, but not committed; it is never let go on.
WORKER = """
import sys
from datetime import timedelta
import django
django.setup()
from django.utils import timezone
from devices.jobs import work_on_jobs
from ingestion.imports import csv_job
steps, ingest = int(sys.argv[1]), csv_job.ingest

def stop_after(*args):
    global steps
    ingest(*args)
    steps -= 1
    if steps == 0:
        print("written", flush=True)
        sys.stdin.read()

csv_job.ingest = stop_after
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
    worker = subprocess.Popen(
        [sys.executable, "-c", WORKER, str(steps)],
        cwd=ROOT, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with worker:
        assert worker.stdout is not None
        said = worker.stdout.readline().strip()
        worker.send_signal(signal.SIGKILL)
    return said


def test_an_import_survives_killed_workers() -> None:
    source = channel()
    job = start(upload(source, minutes(ROWS)))
    connection.close()
    for steps, done in ((1, 0), (3, 4000), (2, 6000)):
        assert work_until(steps) == "written"
        job.refresh_from_db()
        assert (job.state, job.done) == (JobState.RUNNING, done)
        assert len(stored(source)) == 2 * done  # nothing of the step that was under way
        # Nobody waits for the lease of a dead worker here.
        Job.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
        connection.close()
    assert work_until(0) == "ended"
    job.refresh_from_db()
    assert (job.state, job.done, job.report["New readings"]) == (JobState.DONE, ROWS, 2 * ROWS)
    assert len(stored(source)) == 2 * ROWS
    assert SourceEvent.objects.count() == 1
