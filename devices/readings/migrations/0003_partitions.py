"""On PostgreSQL, the three tables that grow become monthly partitions: old months go for nothing."""

# ruff: noqa: S608 - SQL is put together from constants of this file

from importlib import import_module

from django.db import migrations

physical = import_module("devices.readings.migrations.0002_physical")
KEYS = {
    "readings_row": "stream_id, at, sequence",
    "readings_textvalue": "metric_id, at, sequence",
    "readings_received": "source_id, at, sequence",
}
# Finds the rows of an hour among those of all devices, at a thousandth of an ordinary index's size.
BRIN = "USING brin (at) WITH (pages_per_range = 32, autosummarize = on)"
INDEXES = {
    "readings_row": {"readings_row_by_time": BRIN},
    "readings_textvalue": {"readings_textvalue_by_time": BRIN},
    "readings_received": {"received_by_time": "(at)"},
}


def partition(apps, schema_editor):
    if schema_editor.connection.vendor != "postgresql":
        return
    physical.drop_views(apps, schema_editor)
    for table, key in KEYS.items():
        _partition(schema_editor, table, key)
    physical.make_views(apps, schema_editor)


def _partition(schema_editor, table, key):
    old = f"{table}_unpartitioned"
    run = schema_editor.execute
    run(f"ALTER TABLE {table} RENAME TO {old}")
    run(f"ALTER INDEX {table}_pkey RENAME TO {old}_pkey")
    for name in INDEXES[table]:
        run(f"DROP INDEX {name}")
    run(
        f"CREATE TABLE {table} (LIKE {old} INCLUDING DEFAULTS INCLUDING CONSTRAINTS, "
        f"PRIMARY KEY ({key})) PARTITION BY RANGE (at)"
    )
    for name, definition in INDEXES[table].items():
        run(f"CREATE INDEX {name} ON {table} {definition}")
    with schema_editor.connection.cursor() as cursor:
        cursor.execute(f"SELECT DISTINCT date_trunc('month', at, 'UTC') FROM {old} ORDER BY 1")
        months = [month for (month,) in cursor.fetchall()]
    for month in months:
        run(
            f"CREATE TABLE {table}_y{month:%Y}m{month:%m} PARTITION OF {table} "
            f"FOR VALUES FROM ('{month:%Y-%m}-01 00:00Z') TO ('{_after(month):%Y-%m}-01 00:00Z')"
        )
    run(f"INSERT INTO {table} SELECT * FROM {old} ORDER BY {key}")
    run(f"DROP TABLE {old}")


def _after(month):
    return month.replace(year=month.year + month.month // 12, month=month.month % 12 + 1)


class Migration(migrations.Migration):
    dependencies = [("readings", "0002_physical")]

    operations = [migrations.RunPython(partition, migrations.RunPython.noop)]
