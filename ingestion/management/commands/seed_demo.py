"""`manage.py seed_demo`: create the demonstration network."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone

from ingestion.demo import NoCatalogue, catalogue, seed


class Command(BaseCommand):
    """Creates what the bundled simulator can answer for; run again, it adds what is missing."""

    help = "Create the demonstration network, fed by the bundled simulator."

    def add_arguments(self, parser: CommandParser) -> None:
        """Where the simulator listens."""
        parser.add_argument("--simulator-url", default="http://127.0.0.1:8001")

    def handle(self, *args: Any, **options: Any) -> None:
        """Ask the simulator's catalogue and create its devices."""
        try:
            devices = seed(catalogue(), options["simulator_url"].rstrip("/"), timezone.now())
        except NoCatalogue as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"The demonstration network has {len(devices)} devices.")
