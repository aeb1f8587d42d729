"""Entries as received become text, and PostgreSQL's index of their time a thousandth of its size.

Each entry was taken apart into a document that nothing ever asked for, and entered into an index
for the sake of one list: together two fifths of what keeping it cost.
"""

from importlib import import_module

from django.db import migrations, models

physical = import_module("devices.readings.migrations.0002_physical")
BRIN = import_module("devices.readings.migrations.0003_partitions").BRIN


def index_by_time(apps, schema_editor):
    kind = BRIN if schema_editor.connection.vendor == "postgresql" else "(at)"
    schema_editor.execute(f"CREATE INDEX readings_received_by_time ON readings_received {kind}")


class Migration(migrations.Migration):
    dependencies = [("readings", "0009_latest_by_filled")]

    operations = [
        migrations.RunPython(physical.drop_views, migrations.RunPython.noop),
        migrations.RemoveIndex("received", "received_by_time"),
        migrations.AlterField(
            "received",
            "fields",
            models.TextField(help_text="JSON; a document would be taken apart at every entry."),
        ),
        migrations.RunPython(index_by_time, migrations.RunPython.noop),
        migrations.RunPython(physical.make_views, migrations.RunPython.noop),
    ]
