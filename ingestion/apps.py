"""The app of ingestion."""

from __future__ import annotations

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Polling, pipeline and what can be seen of them."""

    name = "ingestion"
    verbose_name = "Ingestion"

    def ready(self) -> None:
        """Answer the dashboards' questions about polling, and follow the configuration."""
        # All need models, which exist only now.
        from ingestion import enrolment
        from ingestion.way_in import Ingestion
        from realtime.way_in import register

        register(Ingestion())
        enrolment.listen()
