"""Computing stored readings anew from what was received, with the mappings as they are now."""

from ingestion.recalculation.asking import KIND, request, unfinished
from ingestion.recalculation.working import cancelled, step

__all__ = ["KIND", "cancelled", "request", "step", "unfinished"]
