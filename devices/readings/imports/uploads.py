"""From an uploaded file to a checked import: kept, looked at, and checked at once or by a job."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import PurePath

from django.contrib.auth.models import AnonymousUser, User

from devices.masking import shown
from devices.models import Device
from devices.readings.imports import working
from devices.readings.imports.checking import AT_ONCE, check_file
from devices.readings.imports.choices import Choices
from devices.readings.imports.columns import plan_of
from devices.readings.imports.files import open_file, store_file
from devices.readings.imports.opening import opened
from devices.readings.imports.text import UnreadableFile
from devices.readings.models import ReadingImport

Person = User | AnonymousUser | None


def keep(
    device: Device, name: str, content: Iterable[bytes], by: Person, now: datetime
) -> ReadingImport:
    """Keep a file. Raises UnreadableFile when it is too large; then nothing of it is kept."""
    imported = ReadingImport.objects.create(
        device=device,
        file_name=shown(PurePath(name).name)[:255],
        created_at=now,
        created_by=by if isinstance(by, User) else None,
    )
    store_file(imported, content)
    return imported


def check(imported: ReadingImport, choices: Choices, by: Person, now: datetime) -> None:
    """Check the file under these choices: at once when it is small, else by a job.

    Raises UnreadableFile for a file or choices that cannot be.
    """
    with open_file(imported) as raw:
        if imported.size <= AT_ONCE:
            imported.findings = check_file(raw, imported.device, choices, now)
            imported.options = choices.as_json()
            imported.save(update_fields=["findings", "options"])
            return
        with opened(raw, choices.encoding) as content:
            plan_of(content.heading, imported.device, choices.columns)
    imported.findings, imported.options = {}, choices.as_json()
    imported.save(update_fields=["findings", "options"])
    working.start_check(imported, by)


def take_file(
    device: Device, name: str, content: Iterable[bytes], by: Person, now: datetime
) -> ReadingImport:
    """Keep a file and check it. Raises UnreadableFile; then nothing of it is kept."""
    imported = keep(device, name, content, by, now)
    try:
        check(imported, Choices(), by, now)
    except UnreadableFile:
        imported.delete()
        raise
    return imported
