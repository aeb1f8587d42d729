"""Jobs in the admin: how far, since when, what came of it; a button for those who may stop it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.urls import reverse

from devices.models import Job, JobState
from devices.tests.scene import Scene, browser

LIST = "admin:devices_job_changelist"


@pytest.fixture
def scene(db: None) -> Scene:
    return Scene.make()


@pytest.fixture
def job(scene: Scene) -> Job:
    return Job.objects.create(
        kind="import_csv", subject="Import feeds.csv", community=scene.hill.community,
        created_by=scene.operator, state="running", done=1500, total=6000, unit="rows",
        message="Halfway to halfway.",
        report={
            "New readings": 3000, "Refused": {"No zone": 1200}, "finished_early": False,
            "Examples": ["Row 1: “<b>x</b>”"], "Share": 0.5,
        },
    )  # fmt: skip


def text_of(page: Any) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<[^>]+>", " ", page.content.decode())))


def at(name: str, job: Job) -> str:
    return reverse(f"admin:devices_job_{name}", args=[job.pk])


def test_the_page_of_a_job(scene: Scene, job: Job) -> None:
    page = browser(scene.viewer).get(at("change", job))
    shown = text_of(page)
    for words in (
        "Import feeds.csv", "Running", "25 %", "1,500 of 6,000 rows", "operator, Hill",
        "Halfway to halfway.", "New readings 3,000", "No zone 1,200", "finished early no", "0.50",
        "Row 1: “<b>x</b>”", "So far",
    ):  # fmt: skip
        assert words in shown
    assert "<b>x</b>" not in page.content.decode()
    assert "data-running" in page.content.decode()
    assert "Cancel this job" not in shown  # a viewer only looks


def test_the_list_and_its_bars(scene: Scene, job: Job) -> None:
    client = browser(scene.viewer)
    shown = text_of(client.get(reverse(LIST)))
    assert "Import feeds.csv" in shown
    assert "25 %" in shown
    progress = reverse("admin:devices_job_progress")
    bars = client.get(progress, {"id": [str(job.pk), "x", "9" * 30, "1000000"]}).json()
    assert list(bars) == [str(job.pk)]
    assert 'value="25"' in bars[str(job.pk)]
    assert browser(scene.stranger).get(progress, {"id": job.pk}).json() == {}
    job.total, job.state = None, JobState.WAITING
    job.save()
    assert "not begun" in client.get(progress, {"id": job.pk}).json()[str(job.pk)]


def test_whoever_operates_the_community_may_cancel(scene: Scene, job: Job) -> None:
    for who in (scene.viewer, scene.stranger):
        assert browser(who).post(at("cancel", job)).status_code in (403, 404)
    job.refresh_from_db()
    assert job.state == JobState.RUNNING
    client = browser(scene.operator)
    assert "Cancel this job" in text_of(client.get(at("panel", job)))
    answer = client.post(at("cancel", job), follow=True)
    assert "was cancelled. What it had done by then stays." in text_of(answer)
    job.refresh_from_db()
    assert (job.state, job.done) == (JobState.CANCELLED, 1500)
    assert "Cancelled." in LogEntry.objects.get().get_change_message()
    panel = client.get(at("panel", job)).content.decode()
    assert "data-running" not in panel
    assert "Cancel this job" not in panel
    assert "had ended already" in text_of(client.post(at("cancel", job), follow=True))


def test_a_failed_job_says_why(scene: Scene, job: Job) -> None:
    job.state, job.message = JobState.FAILED, "The file is not kept any more. Upload it again."
    job.save()
    assert "Upload it again." in text_of(browser(scene.viewer).get(at("change", job)))


def test_jobs_of_the_whole_site_are_the_administrators(scene: Scene) -> None:
    job = Job.objects.create(kind="x", subject="Everything")
    assert "Everything" not in text_of(browser(scene.manager).get(reverse(LIST)))
    assert browser(scene.manager).post(at("cancel", job)).status_code == 404
    assert "the site" in text_of(browser(scene.admin).get(reverse(LIST)))
    browser(scene.admin).post(at("cancel", job))
    job.refresh_from_db()
    assert job.state == JobState.CANCELLED
