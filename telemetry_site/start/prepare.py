"""The part of a start that needs Django: database, static files, administrator, demonstration.

Runs as a process of its own (`python -m telemetry_site.start.prepare`), because Django would weigh
100 MB on the supervising process for as long as the site runs. What only the parent may know (the
administrator's password) is sent through a pipe, one JSON object a line, never through a file.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from io import StringIO
from pathlib import Path
from typing import TextIO
from urllib.parse import urlsplit

import django
from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.staticfiles.finders import get_finders
from django.core import checks
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.core.management.base import SystemCheckError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from telemetry_site.embedded.valkey import write_private
from telemetry_site.start import ground
from telemetry_site.start.console import Problem, Step, step
from telemetry_site.start.database import problem_of

ADMINISTRATOR = "admin"
FINGERPRINT = "static.fingerprint"
# The connection that `ingestion.demo` seeds; it can be imported only after Django is set up.
SIMULATED = "ThingSpeak (simulated)"
KEY_DOES_NOT_FIT = "devices.E001"


def main() -> int:
    """Do what the arguments ask; 0 when the site may start, 1 after telling the parent why not."""
    arguments = _arguments()
    with os.fdopen(arguments.answer, "w", buffering=1) as answer:
        try:
            _prepare(arguments, answer)
        except (Problem, ImproperlyConfigured, SystemCheckError, CommandError) as error:
            return _refuse(answer, str(error))
        except DatabaseError as error:
            return _refuse(answer, problem_of(error, "start again"))
    return 0


def _refuse(answer: TextIO, problem: str) -> int:
    _tell(answer, "problem", problem)
    return 1


def _tell(answer: TextIO, key: str, text: str) -> None:
    answer.write(json.dumps({key: text}) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m telemetry_site.start.prepare")
    parser.add_argument("--answer", type=int, required=True, help="descriptor for the answer")
    parser.add_argument("--new-key", action="store_true", help="FIELD_ENCRYPTION_KEY is fresh")
    parser.add_argument("--simulator-url", help="seed a demonstration that polls this address")
    return parser.parse_args()


def _prepare(arguments: argparse.Namespace, answer: TextIO) -> None:
    with step("Site loaded"):
        django.setup()
    with step("Encryption key fits the database"):
        _verify_key(fresh=arguments.new_key)
    with step("Database is current") as current:
        _migrate(current)
    with step("Static files are current") as current:
        _collect_static(current)
    with step("Administrator exists") as current:
        _ensure_administrator(current, answer)
    if arguments.simulator_url:
        with step("Demonstration exists") as current:
            _seed(current, arguments.simulator_url)


def _verify_key(*, fresh: bool) -> None:
    """Refuse a key that the database was not written with; keep a fresh one once it fits."""
    complaints = checks.run_checks(tags=[checks.Tags.database], databases=["default"])
    if fresh and any(complaint.id == KEY_DOES_NOT_FIT for complaint in complaints):
        raise Problem(_lost_key())
    if complaints:
        raise Problem("\n".join(complaint.msg for complaint in complaints))
    if fresh:
        file = Path(settings.DATA_DIR) / ground.ENCRYPTION_KEY_FILE
        write_private(file, settings.FIELD_ENCRYPTION_KEY)


def _lost_key() -> str:
    file = Path(settings.DATA_DIR) / ground.ENCRYPTION_KEY_FILE
    return (
        f"The encryption key {file} is missing, but the database holds credentials that only this "
        "key opens.\n"
        "Restore that file from your backup (or set FIELD_ENCRYPTION_KEY to its content), then "
        "start again. No new key was made, and nothing was changed.\n"
        "Is the key lost for good? Then move DATA_DIR away and start anew, or name another "
        "directory with DATA_DIR=…"
    )


def _migrate(current: Step) -> None:
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    if not plan:
        return
    call_command("migrate", interactive=False, verbosity=1, stdout=_Progress(current, len(plan)))
    current.detail = f"{len(plan)} migrations applied"


class _Progress(StringIO):
    """Turns what `migrate` prints into «12 of 57»."""

    def __init__(self, current: Step, total: int) -> None:
        super().__init__()
        self._step, self._total, self._done = current, total, 0

    def write(self, text: str) -> int:
        self._done += len(re.findall(r"Applying ", text))
        self._step.progress(f"({self._done} of {self._total} migrations)")
        return len(text)


def _collect_static(current: Step) -> None:
    """Collect static files when any of them changed since the last time."""
    fingerprint = _static_fingerprint()
    note = Path(settings.DATA_DIR) / FINGERPRINT
    root = Path(settings.STATIC_ROOT)
    if note.is_file() and note.read_text() == fingerprint and root.is_dir():
        return
    current.progress("(collecting)")
    note.unlink(missing_ok=True)
    call_command("collectstatic", interactive=False, clear=True, verbosity=0)
    note.write_text(fingerprint)
    current.detail = "collected"


def _static_fingerprint() -> str:
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _ensure_administrator(current: Step, answer: TextIO) -> None:
    """Create the first administrator and tell the parent its random password, at once."""
    users = get_user_model().objects
    if users.filter(is_superuser=True).exists():
        return
    if users.filter(username=ADMINISTRATOR).exists():
        raise Problem(
            "There is no administrator, and somebody without that right is called "
            f"'{ADMINISTRATOR}'.\n"
            "Create one under another name: .venv/bin/python manage.py createsuperuser"
        )
    password = "-".join(secrets.token_hex(3) for _ in range(4))
    users.create_superuser(username=ADMINISTRATOR, password=password)
    current.detail = f"'{ADMINISTRATOR}' created"
    _tell(answer, "password", password)


def _seed(current: Step, simulator_url: str) -> None:
    if apps.get_model("devices", "Community")._default_manager.exists():
        # Started on another PORT, the simulator has moved; what people added stays as it is.
        simulated = apps.get_model("devices", "Connection")._default_manager.filter(
            name=SIMULATED, base_url__startswith=f"http://{urlsplit(simulator_url).hostname}:"
        )
        simulated.exclude(base_url=simulator_url).update(base_url=simulator_url)
        return
    current.progress("(seeding)")
    call_command("seed_demo", simulator_url=simulator_url, stdout=StringIO())
    current.detail = "seeded"


if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telemetry_site.settings")
    sys.exit(main())
