"""The app of ingestion."""

from __future__ import annotations

from django.apps import AppConfig


class IngestionConfig(AppConfig):
    """Polling, pipeline and what can be seen of them."""

    name = "ingestion"
    verbose_name = "Ingestion"

    def ready(self) -> None:
        """Answer the dashboards' questions, follow the configuration, name our jobs."""
        # All need models, which exist only now.
        from devices import jobs
        from ingestion import enrolment, recalculation
        from ingestion.imports import api_job, csv_job
        from ingestion.way_in import Ingestion
        from realtime.way_in import register

        register(Ingestion())
        enrolment.listen()
        jobs.register(csv_job.IMPORT, csv_job.import_step)
        jobs.register(csv_job.CHECK, csv_job.check_step)
        jobs.register(api_job.IMPORT, api_job.import_step, api_job.cancelled)
        jobs.register(recalculation.KIND, recalculation.step, recalculation.cancelled)
