"""`manage.py check_archive`: whether every file of the archive is as it was written."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from devices.readings.archiving import damaged, holdings


class Command(BaseCommand):
    """Reads every file to its end, which takes as long as reading takes."""

    help = (
        "Read every file of the archive to its end and compare it with its checksum; "
        "exit with an error when one is missing or damaged."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        """Check, and tell of each file that is not whole."""
        found = holdings()
        wrong = 0
        for file, why in damaged():
            self.stderr.write(f"{file.name} {why}.")
            wrong += 1
        if wrong:
            raise CommandError(
                f"{wrong} of the archive's files cannot be used. Put them back into "
                f"{found.directory} from your copy of it."
            )
        files = sum(one.files for one in found.months)
        self.stdout.write(
            f"{files} files of {len(found.months)} months, {found.size / 1e6:.1f} MB in "
            f"{found.directory}: all as they were written."
        )
