"""The ingestion page among the admin's pages, in either skin."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.urls import URLPattern, path

from devices.admin.base import ReadOnlyAdmin
from ingestion import views
from ingestion.explaining.page import explanation_page
from ingestion.models import Status


@admin.register(Status)
class StatusAdmin(ReadOnlyAdmin):
    """No list of rows: one page of all accounts, refreshed by itself."""

    def get_urls(self) -> list[URLPattern]:
        """The page, its live part, levels (as files, too), and where a number comes from."""
        pages: dict[str, tuple[str, Any]] = {
            "": ("changelist", views.status_page),
            "now/": ("now", views.status_now),
            "levels/": ("levels", views.levels_page),
            "explain/": ("explain", explanation_page),
            "levels.csv": ("levels_csv", views.levels_csv),
            "outages.csv": ("outages_csv", views.outages_csv),
        }
        return [
            path(route, self.admin_site.admin_view(view), name=f"ingestion_status_{name}")
            for route, (name, view) in pages.items()
        ]
