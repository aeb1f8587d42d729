"""Work that takes longer than a person waits for a page: what it is, how far it is, its report."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from devices.access import ScopedQuerySet
from devices.models.community import Community


class JobState(models.TextChoices):
    """Life of a job."""

    WAITING = "waiting", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    FAILED = "failed", "Failed"
    CANCELLED = "cancelled", "Cancelled"


UNFINISHED = (JobState.WAITING, JobState.RUNNING)


class JobQuerySet(ScopedQuerySet["Job"]):
    """Jobs, scoped by community; those of the whole site are the administrator's."""

    community_path = "community"


class Job(models.Model):
    """One piece of long work, done in steps (`devices.jobs`) that survive a killed worker.

    `cursor` is where the next step goes on; it changes in the same transaction as what the step
    did, so that nothing is done twice. A claim is a lease with a fencing token, as for polls.
    """

    community = models.ForeignKey(
        Community, null=True, blank=True, on_delete=models.CASCADE, related_name="jobs"
    )
    kind = models.CharField(max_length=30)
    subject = models.CharField(max_length=200, help_text="What is done to what, for people.")
    params = models.JSONField(default=dict, help_text="What was asked for. Never a secret.")
    state = models.CharField(max_length=10, choices=JobState.choices, default=JobState.WAITING)
    done = models.PositiveBigIntegerField(default=0)
    total = models.PositiveBigIntegerField(
        null=True, blank=True, help_text="Empty while nobody knows how much there is."
    )
    unit = models.CharField(max_length=20, default="entries", help_text="What is counted.")
    cursor = models.JSONField(default=dict, editable=False)
    report = models.JSONField(default=dict, blank=True)
    message = models.CharField(max_length=500, blank=True)
    failures = models.PositiveSmallIntegerField(
        default=0, help_text="Steps in a row that failed by our own fault."
    )
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    created_at = models.DateTimeField(auto_now_add=True)
    started_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    lease_until = models.DateTimeField(null=True, blank=True)
    claim_token = models.PositiveBigIntegerField(default=0)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at", "-pk"]
        indexes = [
            # jobs.work_on_jobs: the oldest unfinished one
            models.Index(
                fields=["created_at"],
                condition=models.Q(state__in=["waiting", "running"]),
                name="jobs_to_do",
            )
        ]

    def __str__(self) -> str:
        """What is done."""
        return self.subject

    @property
    def percent(self) -> int | None:
        """Share done, 0 to 100; None while the total is not known."""
        if self.state == JobState.DONE:
            return 100
        return min(100 * self.done // self.total, 99) if self.total else None
