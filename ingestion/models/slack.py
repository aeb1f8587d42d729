"""How long each priority class may be passed over when the request budget is short."""

from __future__ import annotations

from django.core.validators import MaxValueValidator
from django.db import models

from devices.models import Priority

# What a new site starts from: high and normal sources give way enough for critical ones to keep
# their interval at 2.25 times the budget (measured in docs/decisions/0010).
STANDARD_SLACK_S = {
    Priority.CRITICAL: 0,
    Priority.HIGH: 110,
    Priority.NORMAL: 190,
    Priority.LOW: 200,
}


class PrioritySlack(models.Model):
    """A class waits in the queue as if it were due so much later: priority with ageing.

    So nobody starves, however short the budget: who waited longer than the difference between two
    classes goes first. Edited in the admin; in force with the next tick.
    """

    priority = models.PositiveSmallIntegerField(
        choices=Priority.choices, primary_key=True, editable=False
    )
    slack_s = models.PositiveIntegerField(
        "patience (seconds)",
        validators=[MaxValueValidator(86_400)],
        help_text="By so much more urgent sources may be due later and still go first.",
    )

    class Meta:
        ordering = ["priority"]
        verbose_name = "priority class"
        verbose_name_plural = "priority classes"

    def __str__(self) -> str:
        """The class."""
        return str(self.get_priority_display())


def slacks() -> dict[int, int]:
    """Seconds by class; what is not stored stands at its standard."""
    stored = dict(PrioritySlack.objects.values_list("priority", "slack_s"))
    return {int(one): stored.get(one, slack) for one, slack in STANDARD_SLACK_S.items()}
