#!/usr/bin/env python
"""Django's command line, with the configuration that the running site has."""

from __future__ import annotations

import os
import sys

from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line
from django.db import InterfaceError, OperationalError

from telemetry_site.start import configuration
from telemetry_site.start.database import problem_of


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telemetry_site.settings")
    configuration.read_env_file()
    configuration.use_embedded_redis()
    configuration.use_demonstration()
    try:
        execute_from_command_line(sys.argv)
    except ImproperlyConfigured as error:
        sys.exit(f"The configuration does not fit: {error}")
    except (OperationalError, InterfaceError) as error:
        if "--traceback" in sys.argv:  # as Django has it for what commands say themselves
            raise
        sys.exit(problem_of(error, "run the command again"))


if __name__ == "__main__":
    main()
