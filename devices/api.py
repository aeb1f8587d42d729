"""The API's slice for what people configure."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
