"""The latest numbers stand by stream, eight in a row; texts and flags stay one by one.

The view keeps the shape of the former table, to look at.
"""

# ruff: noqa: S608 - put together from constants

import django.db.models.deletion
from django.db import migrations, models

import devices.readings.fields

SLOTS = range(1, 9)


def chosen(column):
    whens = " ".join(f"WHEN {slot} THEN l.{column}{slot}" for slot in SLOTS)
    return f"CASE s.position {whens} END"


VIEW = (
    "CREATE VIEW readings_latest AS "
    f"SELECT s.metric_id, {chosen('at')} AS at, {chosen('sequence')} AS sequence, "
    f"{chosen('v')} AS number, CAST(NULL AS text) AS text, CAST(NULL AS boolean) AS flag, "
    f"{chosen('origin')} AS origin, (l.revised & (1 << (s.position - 1))) <> 0 AS revised "
    "FROM readings_slot s JOIN readings_latestrow l ON l.stream_id = s.stream_id "
    f"WHERE {chosen('v')} IS NOT NULL UNION ALL "
    "SELECT metric_id, at, sequence, CAST(NULL AS double precision), text, flag, origin, revised "
    "FROM readings_latesttext WHERE text IS NOT NULL OR flag IS NOT NULL"
)


def move(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        # Rewritten with every reading: room in the page keeps the new version beside the old one.
        schema_editor.execute("ALTER TABLE readings_latestrow SET (fillfactor = 50)")
    for slot in SLOTS:
        moved = {f"{name}{slot}": f"l.{name}" for name in ("at", "sequence", "origin")}
        moved[f"v{slot}"] = "l.number"
        changed = ", ".join(f"{name} = excluded.{name}" for name in moved)
        schema_editor.execute(
            f"INSERT INTO readings_latestrow (stream_id, {', '.join(moved)}, revised) "
            f"SELECT s.stream_id, {', '.join(moved.values())}, "
            f"CASE WHEN l.revised THEN {1 << (slot - 1)} ELSE 0 END "
            "FROM readings_latesttext l JOIN readings_slot s ON s.metric_id = l.metric_id "
            f"WHERE s.position = {slot} AND l.number IS NOT NULL "
            f"ON CONFLICT (stream_id) DO UPDATE SET {changed}, "
            "revised = readings_latestrow.revised | excluded.revised"
        )
    schema_editor.execute("DELETE FROM readings_latesttext WHERE number IS NOT NULL")


def make_view(apps, schema_editor):
    schema_editor.execute(VIEW)


class Migration(migrations.Migration):
    dependencies = [("devices", "0003_jobs"), ("readings", "0003_partitions")]

    operations = [
        migrations.AddField(
            "watermark",
            "slots_gone",
            models.BigIntegerField(
                db_default=0,
                help_text="Counts slots that went with their metric: "
                "whoever remembers places forgets.",
            ),
        ),
        migrations.RenameModel("Latest", "LatestText"),
        migrations.AlterModelOptions("latesttext", {}),
        migrations.AlterModelManagers("latesttext", []),
        migrations.AlterField(
            "latesttext",
            "metric",
            models.OneToOneField(
                db_constraint=False,
                on_delete=django.db.models.deletion.CASCADE,
                primary_key=True,
                related_name="latest_text",
                serialize=False,
                to="devices.metric",
            ),
        ),
        migrations.CreateModel(
            "LatestRow",
            [
                (
                    "stream",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.CASCADE,
                        primary_key=True,
                        related_name="latest",
                        serialize=False,
                        to="readings.stream",
                    ),
                ),
                (
                    "revised",
                    models.SmallIntegerField(
                        default=0, help_text="One bit for each slot that changed."
                    ),
                ),
                *(
                    field
                    for slot in SLOTS
                    for field in (
                        (f"v{slot}", models.FloatField(null=True)),
                        (f"at{slot}", devices.readings.fields.InstantField(null=True)),
                        (f"sequence{slot}", models.BigIntegerField(null=True)),
                        (f"origin{slot}", models.SmallIntegerField(null=True)),
                    )
                ),
            ],
        ),
        migrations.RunPython(move),
        migrations.RemoveField("latesttext", "number"),
        migrations.RunPython(make_view, lambda apps, editor: editor.execute("DROP VIEW readings_latest")),
        migrations.CreateModel(
            "Latest",
            [
                (
                    "metric",
                    models.OneToOneField(
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="latest",
                        serialize=False,
                        to="devices.metric",
                    ),
                ),
                ("at", devices.readings.fields.InstantField()),
                ("sequence", models.BigIntegerField()),
                ("number", models.FloatField(null=True)),
                ("text", models.TextField(null=True)),
                ("flag", models.BooleanField(null=True)),
                ("origin", models.SmallIntegerField()),
                ("revised", models.BooleanField(default=False)),
            ],
            options={
                "verbose_name": "latest reading",
                "db_table": "readings_latest",
                "ordering": ["metric"],
                "managed": False,
            },
        ),
    ]
