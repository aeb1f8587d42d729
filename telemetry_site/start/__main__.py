"""`python -m telemetry_site.start`."""

from __future__ import annotations

import sys

try:
    from telemetry_site.start.run import main
except ModuleNotFoundError as missing:
    sys.exit(
        f"The Python package '{missing.name}' is missing from {sys.executable}.\n"
        "Start with `make run`, or install first: .venv/bin/pip install -r requirements.txt"
    )

if __name__ == "__main__":
    sys.exit(main())
