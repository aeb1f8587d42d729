"""A site that outgrew SQLite moves to PostgreSQL with its backup, and back."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from telemetry_site.tests.databases import new_database

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(300)]

COUNTS = """
from django.db.models import Sum
from devices.models import Device
from devices.readings.models import Latest, Row, RollupHour
print(sorted(Device.objects.values_list("uuid", "name")), Row.objects.count(),
      sorted(Row.objects.values_list("stream_id", "at", "sequence", "v1"))[:50],
      sorted(Latest.objects.values_list("metric_id", "at", "number")),
      RollupHour.objects.aggregate(Sum("count"), Sum("sum")))
"""
SOME_READINGS = """
from datetime import UTC, datetime, timedelta
from devices.models import Community, Device, DeviceType, Metric
from devices.readings.samples import Sample
from devices.readings.store import get_store
place = Community.objects.create(name="Hill", slug="hill", zone="Asia/Kolkata")
tank = Device.objects.create(community=place, type=DeviceType.objects.first(), name="Tank")
level = Metric.objects.create(device=tank, name="level_cm", label="Level", unit="cm")
start = datetime(2026, 1, 30, tzinfo=UTC)
get_store().write([Sample(tank.pk, start + timedelta(hours=n), n, {level.pk: n / 3})
                   for n in range(100)])
get_store().roll_up(start + timedelta(days=30))
"""


def manage(database: str, directory: Path, *arguments: str) -> str:
    environment = os.environ | {
        "DJANGO_SETTINGS_MODULE": "telemetry_site.settings",
        "DATABASE_URL": database,
        "DATA_DIR": str(directory),
        "SECRET_KEY": "of this test",
        "FIELD_ENCRYPTION_KEY": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
    }
    done = subprocess.run(
        [sys.executable, "manage.py", *arguments],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_site_moves_to_postgresql_and_back(tmp_path: Path) -> None:
    server = os.environ["TEST_POSTGRES_URL"]
    with ExitStack() as made:
        first = f"sqlite:///{tmp_path}/first.sqlite3"
        second = made.enter_context(new_database(server))
        third = f"sqlite:///{tmp_path}/third.sqlite3"
        for database in (first, second, third):
            manage(database, tmp_path, "migrate", "-v0")
        manage(first, tmp_path, "shell", "-v0", "-c", SOME_READINGS)
        before = manage(first, tmp_path, "shell", "-v0", "-c", COUNTS)
        assert "Tank" in before

        for number, (here, there) in enumerate(((first, second), (second, third))):
            file = str(tmp_path / f"{number}.zip")
            manage(here, tmp_path, "backup", file)
            manage(there, tmp_path, "restore", file)
            assert manage(there, tmp_path, "shell", "-v0", "-c", COUNTS) == before
