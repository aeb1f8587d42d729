"""A disk that has no room for an export is told in one sentence, whatever the format."""

from __future__ import annotations

import gc
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from devices.readings.export import FORMATS
from devices.readings.samples import Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics

pytestmark = pytest.mark.django_db


@contextmanager
def room_for(size: int) -> Iterator[None]:
    """No file may grow beyond so many bytes: the system refuses as it does on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


# xlsxwriter leaves files of its own open when it fails; they are closed with what held them.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("size", [10, 1000])
def test_no_room_is_told_and_leaves_nothing(
    store: ReadingStore, tmp_path: Path, form: str, size: int
) -> None:
    tank = device()
    (level,) = metrics(tank, 1)
    store.write([Sample(tank.pk, START, n, {level.pk: n / 7}) for n in range(60)])
    words = [f"--device={tank.uuid}", f"--as={form}", f"--into={tmp_path}", f"--since={START:%Y}"]
    words[-1] += "-01-01"
    said = StringIO()
    with room_for(size), pytest.raises(CommandError, match=r"cannot be written: File too large\."):
        call_command("export_readings", *words, stdout=said)
    assert not list(tmp_path.iterdir())
    gc.collect()
