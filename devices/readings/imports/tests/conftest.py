"""Which tests of imports there are on the engine that the suite is started with."""

from __future__ import annotations

from django.conf import settings

# ClickHouse's engine runs inside the process that tests: another one cannot be killed beside it.
collect_ignore = [] if settings.READINGS_ADDRESS is None else ["test_kill.py"]
