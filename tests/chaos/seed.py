"""`python -m tests.chaos.seed URL < plan`: set a site up as its operator would.

A process of its own, because it uses the site's own models on the site's own database.
"""

from __future__ import annotations

import sys

import django
from django.utils import timezone

from tests.chaos import plan


def main() -> None:
    django.setup()
    # Models exist only now that Django is configured.
    from tests.chaos.operator import set_up

    set_up(plan.from_json(sys.stdin.read()), sys.argv[1], timezone.now())


if __name__ == "__main__":
    main()
