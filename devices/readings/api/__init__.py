"""The API's slice for readings, scoped like the pages."""

from __future__ import annotations

from django.urls import path

from devices.readings.api.base import ReadingsView
from devices.readings.api.charts import MeasuresView, SeriesView, StatesView
from devices.readings.api.files import DownloadView, ExportView
from devices.readings.api.imports import DeviceImportView, ImportView
from devices.readings.api.single import DeviceLatestView, HistoriesView, HistoryView, LatestView

__all__ = ["ReadingsView", "urlpatterns"]

urlpatterns = [
    path("metrics/<int:pk>/history/", HistoryView.as_view(), name="metric-history"),
    path("metrics/<int:pk>/series/", SeriesView.as_view(), name="metric-series"),
    path("metrics/<int:pk>/measures/", MeasuresView.as_view(), name="metric-measures"),
    path("metrics/<int:pk>/states/", StatesView.as_view(), name="metric-states"),
    path("devices/<uuid:uuid>/latest/", DeviceLatestView.as_view(), name="device-latest"),
    path("devices/<uuid:uuid>/export/", ExportView.as_view(), name="device-export"),
    path("devices/<uuid:uuid>/import/", DeviceImportView.as_view(), name="device-import"),
    path("downloads/<uuid:uuid>/", DownloadView.as_view(), name="download"),
    path("imports/<int:pk>/", ImportView.as_view(), name="import-detail"),
    path("histories/", HistoriesView.as_view(), name="histories"),
    path("latest/", LatestView.as_view(), name="latest"),
]
