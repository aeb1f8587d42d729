"""`python -m tests.chaos.seed URL TIME < plan`: set a site up as its operator would, with history
from that time on.

A process of its own, because it uses the site's own models on the site's own database.
"""

from __future__ import annotations

import sys
from datetime import datetime

import django

from tests.chaos import plan


def main() -> None:
    django.setup()
    # Models exist only now that Django is configured.
    from tests.chaos.operator import set_up

    began = datetime.fromisoformat(sys.argv[2])
    set_up(plan.from_json(sys.stdin.read()), sys.argv[1], began)


if __name__ == "__main__":
    main()
