"""The site's own way to claim sources, and what a worker does at the end of a poll."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

from django.db import connection
from django.utils import timezone

from devices.models import Connection
from ingestion.claiming import candidates, lease
from ingestion.enrolment import enrol
from ingestion.models import slacks


class Dispatcher:
    """Claims for the one account there is."""

    def __init__(self) -> None:
        self._account = Connection.objects.get()
        enrol(timezone.now())

    def claim(self, most: int) -> list[tuple[int, int]]:
        """Source and token of each claim."""
        now = timezone.now()
        [found] = candidates({self._account.pk: most}, slacks(), now).values()
        return list(lease(found, now).items())

    def release(self, claims: Sequence[tuple[int, int]]) -> None:
        """The sources were polled and are due again at once."""
        if not claims:
            return
        now = connection.ops.adapt_datetimefield_value(timezone.now())
        held = ", ".join(["(%s, %s)"] * len(claims))
        with connection.cursor() as cursor:
            cursor.execute(
                "UPDATE ingestion_pollstate SET lease_until = NULL, next_poll_at = %s "
                f"WHERE (source_id, claim_token) IN (VALUES {held})",
                [now, *chain.from_iterable(claims)],
            )
            assert cursor.rowcount == len(claims), "somebody took a lease that had not ended"
