"""The gate: may this request start, and when? A budget per account and a breaker per host.

**Budget.** GCRA with burst 1: slots lie `(window + jitter allowance) / limit` apart, so no window
ever holds more than the limit, not even the first. `reserve` books the next free slots; slot k may
start `wait_s + k * interval_s` after the call. A 429 pauses the account, also for slots that were
already booked, halves its rate once per pause and lets it recover additively.

**Breaker.** Closed: requests go, failures are counted. Open: nothing goes until the open time is
over. Then exactly one probe goes, as a lease: if its process dies, the next one goes when the lease
ends. The probe alone decides whether the host is well again. Each change of state has a new token;
a late answer to a request from an earlier state is ignored.

Two implementations of one arithmetic: `LocalGate` (one process, injected clock) and `RedisGate`
(all processes, server's clock). One contract suite and one differential test run on both.
"""

from ingestion.resilience.gate.base import (
    Budget,
    BudgetState,
    CircuitState,
    Gate,
    GateUnavailable,
    Passage,
    Reservation,
    Snapshot,
    Trip,
    Verdict,
)
from ingestion.resilience.gate.budget import PausedBy
from ingestion.resilience.gate.local import LocalGate
from ingestion.resilience.gate.shared import RedisGate

__all__ = [
    "Budget",
    "BudgetState",
    "CircuitState",
    "Gate",
    "GateUnavailable",
    "LocalGate",
    "Passage",
    "PausedBy",
    "RedisGate",
    "Reservation",
    "Snapshot",
    "Trip",
    "Verdict",
]
