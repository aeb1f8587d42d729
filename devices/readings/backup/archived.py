"""The archive's files in a backup: each as it is, proved by the checksum that the catalogue has."""

from __future__ import annotations

import re
import shutil
import zipfile

from devices.readings.backup.contents import BackupUnusable, Contents, file_entry_of
from devices.readings.models import ArchivedFile
from devices.readings.store.archive import files

_NAME = re.compile(r"\d{4}/readings-[\w-]+\.parquet")
"""What our files are called: a name in a ZIP may lead anywhere."""


def write_files(archive: zipfile.ZipFile, alias: str) -> tuple[dict[str, str], list[str]]:
    """Put every file in that the catalogue names; their checksums by name, and those left out.

    Left out are files that are missing or not as they were written: the rest is no worse for it.
    """
    held: dict[str, str] = {}
    lacking = []
    rows = ArchivedFile.objects.using(alias).order_by("name")
    for name, checksum in rows.values_list("name", "checksum"):
        if _is_whole(name, checksum):
            _put(archive, name)
            held[name] = checksum
        else:
            lacking.append(name)
    return held, lacking


def _is_whole(name: str, checksum: str) -> bool:
    try:
        return files.checksum_of(files.path_of(name)) == checksum
    except OSError:
        return False


def _put(archive: zipfile.ZipFile, name: str) -> None:
    """As it is: it is compressed already. Nothing changes a file once it has its name."""
    entry = zipfile.ZipInfo(file_entry_of(name))
    with (
        files.path_of(name).open("rb") as content,
        archive.open(entry, "w", force_zip64=True) as target,
    ):
        shutil.copyfileobj(content, target, 1 << 20)


def restore_files(archive: zipfile.ZipFile, contents: Contents) -> int:
    """Put the files where this site has its archive; how many were not there yet.

    Raises BackupUnusable for a name that is none of ours, and OSError where they cannot be put.
    """
    written = 0
    for name, checksum in contents.files.items():
        if not _NAME.fullmatch(name):
            raise BackupUnusable(f"The backup holds a file that is none of an archive's: {name}.")
        if not _is_whole(name, checksum):
            with archive.open(file_entry_of(name)) as content:
                files.place(content, name)
            written += 1
    return written
