"""Rows written at once: what is no number is refused, whatever else is right."""

from __future__ import annotations

from math import inf, nan

import pytest

from ingestion.bulk import update_rows
from ingestion.models import PollState

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("number", [nan, inf])
def test_what_is_no_number_is_not_written(number: float) -> None:
    with pytest.raises(ValueError, match="phase_trust"):
        update_rows(PollState, [{"source_id": 1, "phase_trust": number}])
