"""Redis goes away in the middle of a batch: nothing is asked, and nothing waits for its lease."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from ingestion.dispatch import Queues, dispatch
from ingestion.models import PollLog, PollState
from ingestion.resilience.gate import RedisGate
from ingestion.tests import stack as network
from ingestion.tests.stack import Stack
from scripts.servers import free_port
from simulator.testing import RunningSimulator

pytestmark = pytest.mark.django_db(transaction=True)


def test_sources_are_due_again_at_once_when_redis_is_back(redis_socket: str, settings: Any) -> None:
    settings.REDIS_URL = f"unix://{redis_socket}"
    with RunningSimulator() as simulator:
        stack = Stack(simulator)
        account = network.connection(simulator)
        for number in (710001, 710002, 710003):
            network.channel(account, number)
        nobody = redis.Redis(port=free_port(), retry=Retry(NoBackoff(), 0))
        cut_off = stack.worker_with(RedisGate(nobody), stack.worker.equipment.transport)
        handed_out = dispatch(lambda: stack.at, stack.gate, Queues(cut_off.poll, cut_off.fill))
        assert handed_out.polls == 3
        assert not PollLog.objects.exists()

        stack.tick()
        assert not PollState.objects.filter(last_success_at=None).exists()
