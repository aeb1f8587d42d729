"""The clock's few entries (django-celery-beat), in the admin's own look."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django_celery_beat import admin as beat
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from devices.admin import skin


class TaskSelect(beat.TaskSelectWidget, skin.Select):  # type: ignore[misc]  # untyped library
    """The names of the tasks that the worker knows."""


class ClockEntryForm(beat.PeriodicTaskForm):  # type: ignore[misc]  # untyped library
    """Their form, whose two task boxes know nothing of the skin."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "task" in self.fields:
            self.fields["task"].widget = skin.TextInput()
            self.fields["regtask"].widget = TaskSelect()


class UsersOfSchedule(beat.PeriodicTaskInline, skin.TabularInline):  # type: ignore[misc]
    """The entries that use a schedule."""


class ClockEntryAdmin(beat.PeriodicTaskAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """What the clock starts, and how often."""

    form = ClockEntryForm


class ScheduleAdmin(skin.ModelAdmin):
    """A schedule and the entries that use it."""

    inlines = [UsersOfSchedule]


class CrontabAdmin(beat.CrontabScheduleAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """Times of day and days."""

    inlines = [UsersOfSchedule]


class ClockedAdmin(beat.ClockedScheduleAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """One moment."""

    inlines = [UsersOfSchedule]


for model, page in (
    (PeriodicTask, ClockEntryAdmin),
    (IntervalSchedule, ScheduleAdmin),
    (SolarSchedule, ScheduleAdmin),
    (CrontabSchedule, CrontabAdmin),
    (ClockedSchedule, ClockedAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, page)
