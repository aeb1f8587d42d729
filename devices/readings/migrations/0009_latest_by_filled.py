"""The newest numbers of a stream: a row for each set of slots that its messages fill."""

# ruff: noqa: S608 - SQL is put together from constants

import django.db.models.deletion
from django.db import migrations, models

import devices.readings.fields

SLOTS = range(1, 9)
BIT = "(1 << (s.position - 1))"
VALUE = f"CASE s.position {' '.join(f'WHEN {slot} THEN l.v{slot}' for slot in SLOTS)} END"
VIEW = (
    "CREATE VIEW readings_latest AS "
    f"SELECT s.metric_id, l.at, l.sequence, {VALUE} AS number, CAST(NULL AS text) AS text, "
    f"CAST(NULL AS boolean) AS flag, l.origin, (l.revised & {BIT}) <> 0 AS revised "
    "FROM readings_slot s JOIN readings_latestrow l ON l.stream_id = s.stream_id "
    f"WHERE (l.filled & {BIT}) <> 0 AND NOT EXISTS (SELECT 1 FROM readings_latestrow o "
    f"WHERE o.stream_id = l.stream_id AND (o.filled & {BIT}) <> 0 "
    "AND (o.at, o.sequence) > (l.at, l.sequence)) UNION ALL "
    "SELECT metric_id, at, sequence, CAST(NULL AS double precision), text, flag, origin, revised "
    "FROM readings_latesttext WHERE text IS NOT NULL OR flag IS NOT NULL"
)


def drop_view(apps, schema_editor):
    schema_editor.execute("DROP VIEW readings_latest")


def move(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        # Rewritten with every reading: room in the page keeps the new version beside the old one.
        schema_editor.execute("ALTER TABLE readings_latestrow SET (fillfactor = 50)")
    each = " UNION ALL ".join(
        f"SELECT stream_id, {1 << (slot - 1)} AS bit, at{slot} AS at, sequence{slot} AS sequence, "
        f"origin{slot} AS origin, revised & {1 << (slot - 1)} AS revised, v{slot} AS number "
        f"FROM readings_latestofslot WHERE v{slot} IS NOT NULL"
        for slot in SLOTS
    )
    numbers = ", ".join(f"v{slot}" for slot in SLOTS)
    values = ", ".join(f"max(CASE WHEN bit = {1 << (slot - 1)} THEN number END)" for slot in SLOTS)
    schema_editor.execute(
        "INSERT INTO readings_latestrow "
        f"(stream_id, filled, at, sequence, origin, revised, {numbers}) "
        f"SELECT stream_id, sum(bit), at, sequence, max(origin), sum(revised), {values} "
        f"FROM ({each}) AS slots GROUP BY stream_id, at, sequence"
    )


def make_view(apps, schema_editor):
    schema_editor.execute(VIEW)


class Migration(migrations.Migration):
    dependencies = [("readings", "0008_archive")]

    operations = [
        migrations.RunPython(drop_view, migrations.RunPython.noop),
        migrations.RenameModel("LatestRow", "LatestOfSlot"),
        migrations.CreateModel(
            "LatestRow",
            [
                (
                    "pk",
                    models.CompositePrimaryKey(
                        "stream_id",
                        "filled",
                        blank=True,
                        editable=False,
                        primary_key=True,
                        serialize=False,
                    ),
                ),
                ("at", devices.readings.fields.InstantField()),
                (
                    "stream",
                    models.ForeignKey(
                        db_constraint=False,
                        db_index=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="+",
                        to="readings.stream",
                    ),
                ),
                ("filled", models.SmallIntegerField()),
                ("origin", models.SmallIntegerField()),
                (
                    "revised",
                    models.SmallIntegerField(
                        default=0, help_text="One bit for each slot that changed."
                    ),
                ),
                ("sequence", models.BigIntegerField()),
                *((f"v{slot}", models.FloatField(null=True)) for slot in SLOTS),
            ],
        ),
        migrations.RunPython(move, migrations.RunPython.noop),
        migrations.DeleteModel("LatestOfSlot"),
        migrations.RunPython(make_view, migrations.RunPython.noop),
    ]
