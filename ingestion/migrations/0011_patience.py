from django.db import migrations

# Priority class: its patience (seconds) as delivered so far, and from now on.
DELIVERED_S = {1: (90, 110), 2: (180, 190)}


def renew_patience(apps, schema_editor):
    """What nobody edited follows what is delivered (docs/decisions/0010)."""
    slack = apps.get_model("ingestion", "PrioritySlack")
    for priority, (before, now) in DELIVERED_S.items():
        slack.objects.filter(priority=priority, slack_s=before).update(slack_s=now)


class Migration(migrations.Migration):

    dependencies = [
        ('ingestion', '0010_clock_stands'),
    ]

    operations = [
        migrations.RunPython(renew_patience, migrations.RunPython.noop),
    ]
