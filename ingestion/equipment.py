"""What this process asks providers with: the shared gate and its own kept connections."""

from __future__ import annotations

import redis
from django.conf import settings
from django.core.cache import cache

from ingestion import pulse
from ingestion.polling import Equipment
from ingestion.process import per_process
from ingestion.resilience.freshcache import FreshCache
from ingestion.resilience.gate import RedisGate
from ingestion.resilience.transport import CurlTransport, RequestsTransport


@per_process
def equipment() -> Equipment:
    """This process's gate (budget and breaker of the whole site) and transport.

    For single requests, which a person waits for.
    """
    return Equipment(
        gate=RedisGate(pulse.client()),
        transport=RequestsTransport(allowed=settings.ALLOWED_PRIVATE_NETWORKS),
        facts=FreshCache(cache, settings.SECRET_KEY, failures=(redis.RedisError,)),
    )


@per_process
def batch_equipment() -> Equipment:
    """The same gate, with the transport for a worker's batches."""
    return Equipment(
        gate=equipment().gate,
        transport=CurlTransport(allowed=settings.ALLOWED_PRIVATE_NETWORKS),
    )
