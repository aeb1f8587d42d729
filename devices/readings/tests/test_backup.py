"""A backup is whole, of one moment and private; restored, the site is what it was."""

from __future__ import annotations

import stat
import threading
import zipfile
from collections.abc import Iterable
from contextlib import ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.db.models import Model
from encrypted_model_fields import fields

from devices.models import Community, Connection, DataType, Device, KeyCheck, Membership, Metric
from devices.models.key_check import KeyMismatch
from devices.readings.backup import BackupUnusable, check, restore, write_backup
from devices.readings.backup.contents import MANIFEST, columns_of, models_to_keep, plain
from devices.readings.backup.elsewhere import Copies, copies, server_of_site
from devices.readings.keeping import Cut
from devices.readings.models import Watermark
from devices.readings.samples import Received, Sample
from devices.readings.store import ReadingStore
from devices.readings.tests.network import START, device, metrics, minutes, source

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
]

NOW = START + timedelta(days=40)
KEY = "ABCDEFGH12345678"


COUNTED_UP = {"slots_gone", "revision"}


def everything() -> dict[str, list[Any]]:
    """Every row of every table, as a backup would hold them, but for what is only counted up."""
    with ExitStack() as made:
        server = server_of_site()
        elsewhere = made.enter_context(copies(server)) if server else None
        return {
            model._meta.db_table: sorted(
                repr([plain(value) for value in row]) for row in rows_of(model, elsewhere)
            )
            for model in models_to_keep()
        }


def rows_of(model: type[Model], elsewhere: Copies | None) -> Iterable[Any]:
    columns = columns_of(model)
    if elsewhere is not None and elsewhere.has(model._meta.db_table):
        return elsewhere.rows(model._meta.db_table, list(columns))
    names = [one.attname for one in columns.values() if one.attname not in COUNTED_UP]
    return model._base_manager.values_list(*names)


@pytest.fixture
def network(shared_database: None, store: ReadingStore) -> None:
    """A bit of everything: people, secrets, numbers of several months, texts, what was received,
    and what is left of readings that were dropped.
    """
    KeyCheck.ensure()
    channel = source()
    Connection.objects.update(account_key=KEY)
    tank = device("Asia/Kolkata")
    (level, flow), (state,) = metrics(tank, 2), metrics(tank, 1, DataType.TEXT)
    Membership.objects.create(
        community=tank.community, user=User.objects.create_user("asha"), role="operator"
    )
    store.write(
        [
            Sample(
                tank.pk,
                minutes(START, 600 * n),
                n,
                {level.pk: n / 7, flow.pk: -1e-12, state.pk: f"«zulässig» {n}\n"},
            )
            for n in range(90)
        ],
        [
            Received(channel.pk, channel.device_id, minutes(START, n), n, {"field1": "4,8"})
            for n in range(20)
        ],
    )
    store.roll_up(NOW)
    store.drop({tank.pk: Cut(START + timedelta(days=10))})


def test_a_restored_site_is_what_it_was(network: None, tmp_path: Path, store: ReadingStore) -> None:
    before = everything()
    assert before["readings_staterun"]
    file = tmp_path / "site.zip"

    contents = write_backup(file, NOW)
    Community.objects.all().delete()
    User.objects.all().delete()
    assert check(file) == contents
    assert restore(file) == contents

    assert everything() == before
    assert Connection.objects.get().account_key.reveal() == KEY
    assert sum(contents.rows.values()) == sum(map(len, before.values()))
    # Numbering goes on: a new row does not collide with a restored one.
    Community.objects.create(name="New", slug="new")


def test_restored_readings_are_where_they_were_restored_to(
    network: None, tmp_path: Path, store: ReadingStore
) -> None:
    Watermark.objects.update(rows_at="ClickHouse at another.example:8123, database old")
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    restore(file, replace=True)
    assert Watermark.objects.get().rows_at == ""
    tank = Device.objects.get(community__zone="Asia/Kolkata")
    level = tank.metrics.order_by("pk")[0]
    assert store.write([Sample(tank.pk, NOW, 1, {level.pk: 1.0})]).new_values == 1


def test_a_backup_is_private_and_holds_no_plain_secret(network: None, tmp_path: Path) -> None:
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [one.name for one in tmp_path.glob("site*")] == ["site.zip"]
    with zipfile.ZipFile(file) as archive:
        assert all(KEY.encode() not in archive.read(name) for name in archive.namelist())


def test_a_backup_is_of_one_moment_whatever_is_written_meanwhile(
    network: None, tmp_path: Path
) -> None:
    """Somebody adds a community, and a member to it, after the first table was copied."""
    written: list[str] = []

    def add() -> None:
        place = Community.objects.create(name="Late", slug="late")
        user = User.objects.create_user("late")
        Membership.objects.create(community=place, user=user, role="viewer")
        connection.close()

    def disturb(table: str, rows: int) -> None:
        if not written:
            writer = threading.Thread(target=add)
            writer.start()
            writer.join()
        written.append(table)

    before = everything()
    file = tmp_path / "site.zip"
    write_backup(file, NOW, disturb)

    assert Community.objects.filter(name="Late").exists()
    restore(file, replace=True)
    assert everything() == before


def test_readings_that_come_meanwhile_are_none_of_it(
    network: None, tmp_path: Path, store: ReadingStore
) -> None:
    """A new one, and a late one in an hour that is rolled up."""
    level = Metric.objects.earliest("pk")
    said: list[str] = []

    def say() -> None:
        for at in (minutes(NOW, 7), minutes(START, 7)):
            store.write([Sample(level.device_id, at, 777, {level.pk: 7.0})])
        connection.close()

    def disturb(table: str, rows: int) -> None:
        if not said:
            writer = threading.Thread(target=say)
            writer.start()
            writer.join()
        said.append(table)

    before, file = everything(), tmp_path / "site.zip"
    write_backup(file, NOW, disturb)
    assert store.latest([level.pk])[level.pk].value == 7.0

    restore(file, replace=True)
    assert everything() == before
    store.roll_up(NOW)
    assert everything() == before


def test_a_process_that_was_not_stopped_forgets_what_it_saw_before_a_restore(
    network: None, tmp_path: Path, store: ReadingStore
) -> None:
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    level = Metric.objects.earliest("pk")

    def say(minute: int) -> None:
        at = minutes(NOW, minute)
        store.write([Sample(level.device_id, at, minute, {level.pk: float(minute)})])

    say(0)
    restore(file, replace=True)
    say(10)
    assert store.latest([level.pk])[level.pk].value == 10.0


def test_a_site_that_is_not_empty_is_not_overwritten_by_mistake(
    network: None, tmp_path: Path
) -> None:
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    Community.objects.create(name="Newer", slug="newer")
    before = everything()

    with pytest.raises(CommandError, match="--replace"):
        call_command("restore", str(file))
    assert everything() == before

    call_command("restore", str(file), "--replace")
    assert not Community.objects.filter(name="Newer").exists()


def test_a_damaged_backup_changes_nothing(network: None, tmp_path: Path) -> None:
    file, damaged = tmp_path / "site.zip", tmp_path / "damaged.zip"
    write_backup(file, NOW)
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(damaged, "w") as copy:
        for name in whole.namelist():
            content = whole.read(name)
            copy.writestr(name, content.replace(b"Asia/Kolkata", b"Asia/Colombo"))
    truncated = tmp_path / "truncated.zip"
    truncated.write_bytes(file.read_bytes()[:-400])
    before = everything()

    for broken in (damaged, truncated):
        with pytest.raises(BackupUnusable, match=r"Take another copy|not a whole"):
            restore(broken, replace=True)
        assert everything() == before


def test_a_backup_of_another_version_or_key_is_refused(
    network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, other = tmp_path / "site.zip", tmp_path / "other.zip"
    write_backup(file, NOW)
    with zipfile.ZipFile(file) as whole, zipfile.ZipFile(other, "w") as copy:
        for name in whole.namelist():
            content = whole.read(name)
            if name == MANIFEST:
                content = content.replace(b'"readings.0001_initial",', b"")
            copy.writestr(name, content)
    before = everything()

    with pytest.raises(BackupUnusable, match="version"):
        restore(other, replace=True)
    monkeypatch.setattr(fields, "CRYPTER", Fernet(Fernet.generate_key()))
    with pytest.raises(KeyMismatch):
        restore(file, replace=True)
    assert everything() == before


def test_where_tables_are_missing_they_are_to_be_made_first(
    network: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "site.zip"
    write_backup(file, NOW)
    monkeypatch.setattr(MigrationRecorder, "applied_migrations", lambda self: {})
    with pytest.raises(CommandError, match=r"Run `manage\.py migrate` first"):
        call_command("restore", str(file))


def test_a_file_that_cannot_be_written_leaves_nothing_behind(network: None, tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="Nothing was left"):
        call_command("backup", str(tmp_path / "no such folder" / "site.zip"))
    (tmp_path / "there.zip").write_text("precious")
    with pytest.raises(CommandError, match="already"):
        call_command("backup", str(tmp_path / "there.zip"))
    assert (tmp_path / "there.zip").read_text() == "precious"
