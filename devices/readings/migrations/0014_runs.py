import django.db.models.deletion
from django.db import migrations, models
from django.db.models import F

import devices.readings.fields


def begin_where_readings_begin(apps, schema_editor):
    """Of what was dropped before there were runs, there are none."""
    kept = apps.get_model("readings", "KeptFrom").objects.exclude(dropped_until=None)
    kept.update(runs_from=F("dropped_until"), runs_until=F("dropped_until"))


class Migration(migrations.Migration):
    dependencies = [
        ("devices", "0007_timeouts_that_count"),
        ("readings", "0013_arrival_as_it_stands"),
    ]

    operations = [
        migrations.AddField("keptfrom", "runs_from", devices.readings.fields.InstantField(null=True)),
        migrations.AddField("keptfrom", "runs_until", devices.readings.fields.InstantField(null=True)),
        migrations.CreateModel(
            name="StateRun",
            fields=[
                ("pk", models.CompositePrimaryKey("metric_id", "at", "sequence", blank=True, editable=False, primary_key=True, serialize=False)),
                ("at", devices.readings.fields.InstantField()),
                ("until", devices.readings.fields.InstantField()),
                ("metric", models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name="+", to="devices.metric")),
                ("sequence", models.BigIntegerField()),
                ("longest_ms", models.BigIntegerField(help_text="The longest time between two neighbours.")),
                ("text", models.TextField(null=True)),
                ("flag", models.BooleanField(null=True)),
            ],
        ),
        migrations.RunPython(begin_where_readings_begin, migrations.RunPython.noop),
    ]
