"""What the tables need beyond their columns: PostgreSQL's indexes, and the views of the admin.

A later migration that alters a table under a view drops the views first (`drop_views`) and makes
its own after.
"""

from django.db import migrations

POSTGRESQL = (
    # Finds the readings of an hour among those of all devices, at a thousandth of an index's size.
    "CREATE INDEX readings_row_by_time ON readings_row USING brin (at) "
    "WITH (pages_per_range = 32, autosummarize = on)",
    "CREATE INDEX readings_textvalue_by_time ON readings_textvalue USING brin (at) "
    "WITH (pages_per_range = 32, autosummarize = on)",
    # Rewritten with every reading: room in the page keeps the new version beside the old one.
    "ALTER TABLE readings_latest SET (fillfactor = 50)",
)
VIEWS = {
    "readings_received_list": (
        "SELECT {source_id} || '-' || {at} || '-' || {sequence} AS id, at, source_id, sequence, "
        "fields FROM readings_received"
    ),
    "readings_rollup_list": (
        "SELECT 'day-' || {metric_id} || '-' || {bucket} AS id, CAST('day' AS text) AS tier, "
        "metric_id, bucket, count, minimum, maximum, sum / count AS average "
        "FROM readings_rollup_day UNION ALL "
        "SELECT 'month-' || {metric_id} || '-' || {bucket}, CAST('month' AS text), "
        "metric_id, bucket, count, minimum, maximum, sum / count FROM readings_rollup_month"
    ),
}


def shape(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        for statement in POSTGRESQL:
            schema_editor.execute(statement)


def make_views(apps, schema_editor):
    instant = (
        "CAST(round(extract(epoch FROM %s) * 1000) AS bigint)"
        if schema_editor.connection.vendor == "postgresql"
        else "%s"
    )
    parts = {name: f"CAST({name} AS text)" for name in ("source_id", "sequence", "metric_id")}
    parts |= {name: f"CAST({instant % name} AS text)" for name in ("at", "bucket")}
    for name, select in VIEWS.items():
        schema_editor.execute(f"CREATE VIEW {name} AS {select.format(**parts)}")


def drop_views(apps, schema_editor):
    for name in VIEWS:
        schema_editor.execute(f"DROP VIEW IF EXISTS {name}")


class Migration(migrations.Migration):
    dependencies = [("readings", "0001_initial")]

    operations = [
        migrations.RunPython(shape, migrations.RunPython.noop),
        migrations.RunPython(make_views, drop_views),
    ]
