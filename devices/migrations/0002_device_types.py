from django.db import migrations

# slug, name, picture, priority (0 critical .. 3 low), interval in seconds, default metrics
TYPES = [
    (
        "overhead-tank",
        "Overhead tank (OHT)",
        "tank",
        0,
        30,
        [("water_level_cm", "Water level", "cm")],
    ),
    ("sump", "Sump", "sump", 0, 30, [("water_level_cm", "Water level", "cm")]),
    (
        "pump-house",
        "Pump house",
        "pump",
        1,
        30,
        [("pump_power_kw", "Pump power", "kW"), ("current_a", "Current", "A")],
    ),
    (
        "flow-meter",
        "Flow meter",
        "flow",
        2,
        60,
        [("flow_l_per_min", "Flow", "L/min"), ("total_m3", "Total", "m³")],
    ),
    ("borewell", "Borewell", "borewell", 1, 60, [("water_depth_m", "Depth to water", "m")]),
    (
        "government-borewell",
        "Government borewell",
        "borewell",
        2,
        300,
        [("water_depth_m", "Depth to water", "m")],
    ),
    ("grill", "Grill", "grill", 1, 30, [("temperature_c", "Temperature", "°C")]),
    (
        "cold-room",
        "Cold room",
        "cold_room",
        0,
        60,
        [("temperature_c", "Temperature", "°C"), ("humidity_percent", "Humidity", "%")],
    ),
    (
        "energy-meter",
        "Energy meter",
        "energy",
        2,
        60,
        [("power_kw", "Power", "kW"), ("energy_kwh", "Energy", "kWh")],
    ),
    (
        "grid-region",
        "Grid region",
        "grid",
        3,
        300,
        [("co2_g_per_kwh", "Carbon intensity", "g/kWh")],
    ),
    ("generic", "Generic sensor", "generic", 2, 60, []),
]


def create(apps, schema_editor):
    DeviceType = apps.get_model("devices", "DeviceType")
    DefaultMetric = apps.get_model("devices", "DefaultMetric")
    for slug, name, picture, priority, interval, metrics in TYPES:
        kind = DeviceType.objects.create(
            slug=slug,
            name=name,
            picture=picture,
            default_priority=priority,
            default_interval_s=interval,
        )
        for metric, label, unit in metrics:
            DefaultMetric.objects.create(device_type=kind, name=metric, label=label, unit=unit)


def remove(apps, schema_editor):
    apps.get_model("devices", "DeviceType").objects.filter(
        slug__in=[row[0] for row in TYPES]
    ).delete()


class Migration(migrations.Migration):
    dependencies = [("devices", "0001_initial")]
    operations = [migrations.RunPython(create, remove)]
