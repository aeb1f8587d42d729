"""Verifying a channel before it is saved: ask it once, say what was found, propose mappings.

`verify_channel` asks through the same gate as polling and stores nothing. `create_mappings` turns
confirmed proposals into metrics and field mappings; demonstration and reports use it too.
"""

from __future__ import annotations

from ingestion.verify.asking import Severity, Verification, verify_channel
from ingestion.verify.confirming import create_mappings, metrics_known_to
from ingestion.verify.proposals import (
    KnownMetric,
    Preview,
    Proposal,
    Unusable,
    data_type_of,
    preview,
    propose_mappings,
)
from ingestion.verify.remembering import SAMPLES

__all__ = [
    "SAMPLES",
    "KnownMetric",
    "Preview",
    "Proposal",
    "Severity",
    "Unusable",
    "Verification",
    "create_mappings",
    "data_type_of",
    "metrics_known_to",
    "preview",
    "propose_mappings",
    "verify_channel",
]
