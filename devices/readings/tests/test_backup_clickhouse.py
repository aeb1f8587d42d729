"""Backups of a site that keeps its readings in ClickHouse: back there, or into the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.core.management import CommandError, call_command

from devices.models import KeyCheck, Metric
from devices.readings.address import Address
from devices.readings.backup import BackupUnusable, restore, write_backup
from devices.readings.backup.elsewhere import server_of_site
from devices.readings.paging import all_readings
from devices.readings.samples import Sample, Tier
from devices.readings.store import ReadingStore, RowsAway, get_store
from devices.readings.store.clickhouse import Server
from devices.readings.tests.archived import JANUARY, NOW, WIDTHS, fill, network, statistics

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("shared_database"),
]


@pytest.fixture
def found(shared_database: None, store: ReadingStore) -> list[Metric]:
    KeyCheck.ensure()
    found = network()
    fill(store, found)
    store.roll_up(NOW)
    return found


def tables() -> set[str]:
    server = server_of_site()
    assert server is not None
    return {
        name
        for (name,) in server.rows(
            "SELECT name FROM system.tables WHERE database = currentDatabase()"
        )
    }


def told(found: list[Metric]) -> Any:
    store = get_store()
    pks = [one.pk for one in found]
    return (
        [list(all_readings(one, JANUARY, NOW)) for one in pks],
        store.latest(pks),
        [statistics(store, found[0].pk, JANUARY, NOW, width) for width in WIDTHS],
    )


def test_nothing_is_left_beside_the_tables(found: list[Metric], tmp_path: Path) -> None:
    before = tables()
    file = tmp_path / "site.zip"
    assert write_backup(file, NOW).elsewhere
    restore(file, replace=True)
    assert tables() == before


def test_it_can_be_restored_into_the_database(
    found: list[Metric], tmp_path: Path, settings: Any
) -> None:
    file, before = tmp_path / "site.zip", told(found)
    write_backup(file, NOW)

    settings.READINGS_ADDRESS = None
    restore(file, replace=True)
    assert told(found) == before

    level = found[0]
    sample = Sample(level.device_id, NOW, 1, {level.pk: 4.5})
    assert list(get_store().write([sample]).new) == [sample]
    assert get_store().latest([level.pk])[level.pk].value == 4.5


def test_readings_of_a_database_are_not_restored_beside_those_in_clickhouse(
    found: list[Metric], tmp_path: Path, settings: Any
) -> None:
    file, address = tmp_path / "site.zip", site.READINGS_ADDRESS
    settings.READINGS_ADDRESS = None
    level = found[0]
    get_store().write([Sample(level.device_id, NOW, 1, {level.pk: 4.5})])
    write_backup(file, NOW)

    settings.READINGS_ADDRESS = address
    before = told(found)
    with pytest.raises(BackupUnusable, match="then move them"):
        restore(file, replace=True)
    assert told(found) == before


def test_a_restore_that_ends_early_leaves_what_is_there(
    found: list[Metric], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before, names = tmp_path / "site.zip", told(found), tables()
    write_backup(file, NOW)
    inserted = Server.insert

    def insert(server: Server, table: str, *values: Any, **more: Any) -> None:
        if Tier.HOUR in table:
            raise BackupUnusable("interrupted")
        inserted(server, table, *values, **more)

    monkeypatch.setattr(Server, "insert", insert)
    with pytest.raises(BackupUnusable, match="interrupted"):
        restore(file, replace=True)
    monkeypatch.undo()
    assert told(found) == before
    assert tables() == names


def test_a_last_step_that_fails_is_told_as_what_it_is_and_can_be_done_again(
    found: list[Metric], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file, before = tmp_path / "site.zip", told(found)
    write_backup(file, NOW)
    run = Server.run

    def fail(server: Server, sql: str) -> None:
        if "readings_row_restored" in sql and sql.startswith("ALTER"):
            raise RowsAway("ClickHouse cannot be reached.")
        run(server, sql)

    with monkeypatch.context() as away:
        away.setattr(Server, "run", fail)
        with pytest.raises(CommandError, match="some tables are replaced or empty"):
            call_command("restore", str(file), "--replace")

    call_command("restore", str(file), "--replace")
    assert told(found) == before


def test_an_engine_that_is_away_is_told(found: list[Metric], tmp_path: Path, settings: Any) -> None:
    settings.READINGS_ADDRESS = Address.of("clickhouse://tele:hush@127.0.0.1:1/readings")
    with pytest.raises(CommandError, match="cannot be reached") as caught:
        call_command("backup", str(tmp_path / "site.zip"))
    assert "hush" not in str(caught.value)
    assert not list(tmp_path.glob("site*"))
