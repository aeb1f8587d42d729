"""The four priority classes of polling."""

from __future__ import annotations

from django.db import models


class Priority(models.IntegerChoices):
    """Who is asked first when the request budget is short; nobody is starved."""

    CRITICAL = 0, "Critical"
    HIGH = 1, "High"
    NORMAL = 2, "Normal"
    LOW = 3, "Low"
