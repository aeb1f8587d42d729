"""Links into the admin, only for those whom the admin's own pages let in."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.urls import reverse


def _url(model: type[Model], page: str, *args: object) -> str:
    return reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_{page}", args=args)


def add_url(request: HttpRequest, model: type[Model]) -> str | None:
    """Where to add a row; None for who may not."""
    if not admin.site.is_registered(model):
        return None
    allowed = admin.site.get_model_admin(model).has_add_permission(request)
    return _url(model, "add") if allowed else None


def change_url(request: HttpRequest, row: Model) -> str | None:
    """Where to change the row; None for who may not."""
    model = type(row)
    if not admin.site.is_registered(model):
        return None
    allowed = admin.site.get_model_admin(model).has_change_permission(request, row)
    return _url(model, "change", row.pk) if allowed else None
