import devices.readings.fields
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("readings", "0011_newest_followed")]

    operations = [
        migrations.AddField(
            "watermark", "doubted_since", devices.readings.fields.InstantField(null=True)
        ),
    ]
