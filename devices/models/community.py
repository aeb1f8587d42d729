"""The tenant: a community and its members. Everything is visible through it."""

from __future__ import annotations

import zoneinfo

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.urls import reverse

from devices.access import ScopedQuerySet


def validate_zone(name: str) -> None:
    """Refuse a time zone that the zone database does not know."""
    if name not in zoneinfo.available_timezones():
        raise ValidationError(
            "“%(name)s” is not a time zone. Use a name such as Asia/Kolkata or Europe/Berlin.",
            params={"name": name},
        )


class CommunityQuerySet(ScopedQuerySet["Community"]):
    """Communities, scoped by membership."""

    community_path = "pk"


class Community(models.Model):
    """A village, company or household whose members see its devices and nobody else's."""

    name = models.CharField(
        max_length=100, unique=True, help_text="The village, company or household."
    )
    slug = models.SlugField(
        max_length=60,
        unique=True,
        help_text="Short name in the web address, such as “hill-village”.",
    )
    zone = models.CharField(
        "time zone",
        max_length=64,
        default="UTC",
        validators=[validate_zone],
        help_text="Times are shown, and days begin, in this zone: for example Asia/Kolkata.",
    )
    created_at = models.DateTimeField(auto_now_add=True)

    objects = CommunityQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        verbose_name_plural = "communities"

    def __str__(self) -> str:
        """The community's name."""
        return self.name

    def get_absolute_url(self) -> str:
        """The community's dashboard."""
        return reverse("community", args=[self.slug])


class Role(models.TextChoices):
    """What a member may do."""

    VIEWER = "viewer", "Viewer: sees dashboards"
    OPERATOR = "operator", "Operator: also configures devices"
    MANAGER = "manager", "Manager: also manages members"


class MembershipQuerySet(ScopedQuerySet["Membership"]):
    """Memberships, scoped by community."""

    community_path = "community"


class Membership(models.Model):
    """One user's role in one community."""

    community = models.ForeignKey(Community, on_delete=models.CASCADE, related_name="memberships")
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="memberships"
    )
    role = models.CharField(
        max_length=10,
        choices=Role.choices,
        default=Role.VIEWER,
        help_text="Operators and managers also need “staff status” to open this admin.",
    )

    objects = MembershipQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["community", "user"], name="one_role_per_member")
        ]

    def __str__(self) -> str:
        """Who is what where."""
        return f"{self.user}: {self.get_role_display()} in {self.community}"
