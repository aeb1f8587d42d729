"""`manage.py readings_tables`: the statements that make the big tables on a ClickHouse cluster."""

from __future__ import annotations

import re
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from devices.readings.store.clickhouse.clusters import statements


class Command(BaseCommand):
    """Prints them; run them once, in the database that READINGS_URL names."""

    help = "Print what makes the tables of readings on a ClickHouse cluster; see docs/scale.md."

    def add_arguments(self, parser: CommandParser) -> None:
        """Which cluster."""
        parser.add_argument("--cluster", required=True, help="its name in ClickHouse's settings")
        parser.add_argument(
            "--distributed", action="store_true", help="several shards, not only replicas"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """One statement after the other."""
        cluster = options["cluster"]
        if not re.fullmatch(r"[\w-]+", cluster):
            raise CommandError(f"“{cluster}” is no name of a cluster.")
        for statement in statements(cluster, distributed=options["distributed"]):
            self.stdout.write(f"{statement};")
