"""Most of what is newest is no longer written twice: it is looked up among the rows.

The list of newest readings looks there too.
"""

# ruff: noqa: S608 - SQL is put together from constants

from importlib import import_module

from django.db import migrations, models

before = import_module("devices.readings.migrations.0009_latest_by_filled")

SLOTS = range(1, 9)
KIND = " + ".join(f"CASE WHEN o.v{slot} IS NULL THEN 0 ELSE {1 << (slot - 1)} END" for slot in SLOTS)
NEWER = (
    "WHERE NOT l.exact AND o.stream_id = l.stream_id AND o.at >= l.at "
    "AND o.at < l.at + {hour} "
    f"AND {KIND} = l.filled ORDER BY o.at DESC, o.sequence DESC LIMIT 1"
)
HOUR = {"postgresql": "interval '1 hour'", "sqlite": "3600000"}
JOINED = {
    "postgresql": f"LEFT JOIN LATERAL (SELECT o.* FROM readings_row o {NEWER}) AS r ON true",
    "sqlite": (
        f"LEFT JOIN readings_row r ON r.rowid = (SELECT o.rowid FROM readings_row o {NEWER})"
    ),
}
CHANGING = ("at", "sequence", "origin", "revised", *(f"v{slot}" for slot in SLOTS))
CHOSEN = ", ".join(
    f"CASE WHEN (r.at, r.sequence) > (l.at, l.sequence) THEN r.{name} ELSE l.{name} END AS {name}" for name in CHANGING
)


def make_view(apps, schema_editor):
    vendor = schema_editor.connection.vendor
    joined = JOINED[vendor].format(hour=HOUR[vendor])
    newest = f"(SELECT l.stream_id, l.filled, {CHOSEN} FROM readings_latestrow l {joined})"
    schema_editor.execute(
        "CREATE VIEW readings_latest AS "
        f"SELECT s.metric_id, l.at, l.sequence, {before.VALUE} AS number, "
        "CAST(NULL AS text) AS text, CAST(NULL AS boolean) AS flag, l.origin, "
        f"(l.revised & {before.BIT}) <> 0 AS revised "
        f"FROM readings_slot s JOIN {newest} AS l ON l.stream_id = s.stream_id "
        f"WHERE (l.filled & {before.BIT}) <> 0 AND {before.VALUE} IS NOT NULL "
        f"AND NOT EXISTS (SELECT 1 FROM {newest} AS o WHERE o.stream_id = l.stream_id "
        f"AND (o.filled & {before.BIT}) <> 0 AND {before.VALUE.replace('l.', 'o.')} IS NOT NULL "
        "AND (o.at, o.sequence) > (l.at, l.sequence)) UNION ALL "
        "SELECT metric_id, at, sequence, CAST(NULL AS double precision), text, flag, origin, "
        "revised FROM readings_latesttext WHERE text IS NOT NULL OR flag IS NOT NULL"
    )


class Migration(migrations.Migration):
    dependencies = [("readings", "0010_received_as_text")]

    operations = [
        migrations.RunPython(before.drop_view, migrations.RunPython.noop),
        migrations.AddField(
            "latestrow",
            "exact",
            models.BooleanField(db_default=False),
        ),
        migrations.AlterField(
            "watermark",
            "slots_gone",
            models.BigIntegerField(
                db_default=0,
                help_text="Counts slots and newest readings that are gone: whoever remembers any "
                "forgets.",
            ),
        ),
        migrations.RunPython(make_view, migrations.RunPython.noop),
    ]
