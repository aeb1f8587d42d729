"""How long each proof takes: short in `make test`, in full in `make chaos`, or as told."""

from __future__ import annotations

import os

LONG = os.environ.get("CHAOS") == "long"


def scaled(variable: str, short: int, long: int) -> int:
    """The environment's number, else that of the form in which the suite runs."""
    return int(os.environ.get(variable) or (long if LONG else short))
