"""Addresses of the dashboards, and of the snapshots they fetch while no socket is open."""

from __future__ import annotations

from django.urls import URLPattern, path

from realtime import views

urlpatterns: list[URLPattern] = [
    path("", views.overview, name="overview"),
    path("snapshot/", views.overview_snapshot, name="overview-snapshot"),
    path("communities/<slug:slug>/", views.community, name="community"),
    path("communities/<slug:slug>/snapshot/", views.community_snapshot, name="community-snapshot"),
    path("devices/<uuid:uuid>/", views.device, name="device"),
    path("devices/<uuid:uuid>/snapshot/", views.device_snapshot, name="device-snapshot"),
]
