"""From an uploaded file to a checked import: kept, looked at, and checked at once or by a job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath

from django.contrib.auth.models import AnonymousUser, User

from devices.masking import shown
from devices.models import Source
from devices.readings.imports.text import UnreadableFile
from ingestion.imports import csv_job
from ingestion.imports.checking import AT_ONCE, check_file, first_choices
from ingestion.imports.choices import Choices
from ingestion.imports.files import open_file, store_file
from ingestion.models import Import, ImportWay


def take_file(
    source: Source,
    name: str,
    pieces: Iterable[bytes],
    by: User | AnonymousUser | None,
    now: datetime,
) -> Import:
    """Keep a file and check it. Raises UnreadableFile; then nothing of it is kept."""
    imported = Import.objects.create(
        source=Source.objects.get(pk=source.pk),
        way=ImportWay.CSV,
        file_name=shown(PurePath(name).name)[:255],
        created_at=now,
        created_by=by if isinstance(by, User) else None,
    )
    store_file(imported, pieces)
    try:
        with open_file(imported) as raw:
            choices = first_choices(raw, source)
        check_again(imported, choices, by, now)
    except UnreadableFile:
        imported.delete()
        raise
    return imported


def check_again(
    imported: Import, choices: Choices, by: User | AnonymousUser | None, now: datetime
) -> None:
    """Check the file under these choices: at once when it is small, else by a job.

    Raises UnreadableFile for choices that do not go together.
    """
    with open_file(imported) as raw:
        if imported.size <= AT_ONCE:
            imported.findings = check_file(raw, imported.source, choices, now)
            imported.options = choices.as_json()
            imported.save(update_fields=["findings", "options"])
            return
    imported.findings, imported.options = {}, choices.as_json()
    imported.save(update_fields=["findings", "options"])
    csv_job.start_check(imported, by)
