"""A batch that cannot be carried out whole: said once, and once when the next ones can again."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from structlog.testing import capture_logs

from ingestion import work
from ingestion.resilience.gate import GateUnavailable
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db


@pytest.fixture(scope="module")
def simulator() -> Iterator[RunningSimulator]:
    with RunningSimulator() as running:
        yield running


def test_it_is_told_at_its_edges(
    simulator: RunningSimulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stack = Stack(simulator)
    network.channel(network.connection(simulator), interval_s=5)

    def without_gate(*_: Any) -> Any:
        raise GateUnavailable("Redis cannot be reached")

    with capture_logs() as logs:
        with monkeypatch.context() as away:
            away.setattr(work, "ask_all", without_gate)
            stack.run(30)
        stack.run(30)
    told = [one for one in logs if one["event"].startswith("batch")]
    assert [one["event"] for one in told] == ["batch_ended_early", "batches_end_well_again"]
    assert told[0]["reason"] == "Redis cannot be reached"
