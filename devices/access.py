"""Who may see what: one queryset method, used by pages, API, admin and sockets alike."""

from __future__ import annotations

from typing import ClassVar, Self, TypeVar

from django.apps import apps
from django.contrib.auth.models import AnonymousUser, User
from django.db import models

Row = TypeVar("Row", bound=models.Model)
Viewer = User | AnonymousUser

OPERATING_ROLES = ("operator", "manager")
MANAGING_ROLES = ("manager",)


def sees_everything(user: Viewer) -> bool:
    """Whether the user is the site's administrator."""
    return bool(user.is_active and getattr(user, "is_superuser", False))


class ScopedQuerySet(models.QuerySet[Row]):
    """Rows that belong to a community, found by following `community_path`."""

    community_path: ClassVar[str]

    def visible_to(self, user: Viewer) -> Self:
        """The rows of the communities that the user is a member of, in any role."""
        return self._within(user, roles=None)

    def operable_by(self, user: Viewer) -> Self:
        """The rows of the communities that the user operates or manages."""
        return self._within(user, roles=OPERATING_ROLES)

    def managed_by(self, user: Viewer) -> Self:
        """The rows of the communities that the user manages."""
        return self._within(user, roles=MANAGING_ROLES)

    def _within(self, user: Viewer, roles: tuple[str, ...] | None) -> Self:
        if not user.is_authenticated or not user.is_active:
            return self.none()
        if sees_everything(user):
            return self.all()
        memberships = apps.get_model("devices", "Membership")._default_manager.filter(user=user)
        if roles:
            memberships = memberships.filter(role__in=roles)
        # A subquery instead of a join: a join would repeat rows and break later filters.
        return self.filter(**{f"{self.community_path}__in": memberships.values("community")})
