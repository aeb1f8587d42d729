"""The app of ingestion."""

from __future__ import annotations

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Polling, pipeline and what can be seen of them."""

    name = "ingestion"
    verbose_name = "Ingestion"
