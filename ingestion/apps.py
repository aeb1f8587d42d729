"""The app of ingestion."""

from __future__ import annotations

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Polling, pipeline and what can be seen of them."""

    name = "ingestion"
    verbose_name = "Ingestion"

    def ready(self) -> None:
        """Answer the dashboards, follow the configuration, know how to carry out our jobs."""
        # All need models, which exist only now.
        from devices.jobs import register as register_job
        from ingestion import enrolment, recalculation
        from ingestion.way_in import Ingestion
        from realtime.way_in import register

        register(Ingestion())
        enrolment.listen()
        register_job(recalculation.KIND, recalculation.step)
