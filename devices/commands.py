"""What management commands share that carry a job out and report its end."""

from __future__ import annotations

import json
import time
from argparse import RawDescriptionHelpFormatter
from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.core.management.base import (
    BaseCommand,
    CommandError,
    CommandParser,
    DjangoHelpFormatter,
)
from django.db import InterfaceError, OperationalError
from django.db.models import Q
from django.utils import timezone

from devices.jobs import work_on_jobs
from devices.models import Device, Job, JobState
from devices.models.job import UNFINISHED
from devices.phrases import sentence

TURN = timedelta(seconds=2)


def device_called(wanted: str) -> Device:
    """The device of a UUID or name that somebody typed. Raises CommandError."""
    found = list(Device.objects.select_related("community").filter(_called(wanted))[:10])
    if not found:
        raise CommandError("This site has no such device. Give its name, or its UUID.")
    if len(found) > 1:
        names = "; ".join(f"{one} of {one.community} ({one.uuid})" for one in found)
        raise CommandError(f"Several devices fit: {names}. Give the UUID.")
    return found[0]


def _called(device: str) -> Q:
    try:
        return Q(uuid=UUID(device))
    except ValueError:
        return Q(name=device)


class _Formatter(RawDescriptionHelpFormatter, DjangoHelpFormatter):
    """Django's help, with our own line breaks below the options."""


class JobCommand(BaseCommand):
    """Progress goes to standard error, the report to standard output (with `json`: as JSON)."""

    epilog = ""
    """What `--help` says below the options."""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        """Django's parser, with the epilog below the options."""
        kwargs |= {"epilog": self.epilog, "formatter_class": _Formatter}
        return super().create_parser(prog_name, subcommand, **kwargs)

    def follow(self, job: Job, options: Mapping[str, Any]) -> None:
        """Carry the job on (as a worker may do beside us) and report its end.

        Raises CommandError when it did not come to a good end.
        """
        try:
            while job.state in UNFINISHED:
                if not work_on_jobs(timezone.now, TURN, only=job.pk, watched=True):
                    time.sleep(0.5)
                job.refresh_from_db()
                share = f"{job.percent} %" if job.percent is not None else f"{job.done:,}"
                self.stderr.write(f"{job.done:,} {job.unit} done ({share}) {job.message}".rstrip())
        except KeyboardInterrupt:
            raise CommandError(
                f"Left alone. Job {job.pk} goes on in the worker; the admin shows and stops it."
            ) from None
        except (OperationalError, InterfaceError) as error:
            raise CommandError(
                f"The database cannot be used: {sentence(str(error))} What was done so far stays. "
                f"Once that is mended, job {job.pk} goes on in the worker; where none runs, run "
                "this command again: nothing is stored twice."
            ) from error
        if job.state != JobState.DONE:
            raise CommandError(job.message or f"The job ended as {job.get_state_display()}.")
        self.print(job.report, options)

    def print(self, said: Mapping[str, Any], options: Mapping[str, Any]) -> None:
        """A report, in lines for people (without empty lists) or as JSON."""
        if options["json"]:
            self.stdout.write(json.dumps(said, indent=2, ensure_ascii=False))
            return
        for name, value in said.items():
            if isinstance(value, Mapping):
                value = [f"{key}: {one}" for key, one in value.items()]
            if value == []:
                continue
            if isinstance(value, list):
                self.stdout.write(f"{name}:")
                for one in value:
                    self.stdout.write(f"  - {one}")
            else:
                self.stdout.write(f"{name}: {value}")
