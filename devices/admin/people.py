"""Users, groups and sign-in records, in the admin's own look."""

from __future__ import annotations

from typing import Any

from axes import admin as axes_admin
from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.contrib import admin
from django.contrib.auth import admin as auth_admin
from django.contrib.auth.models import Group, User
from django.http import HttpRequest

from devices.admin import skin
from devices.admin.base import ScopedInline
from devices.models import Membership


class MembershipOfUserInline(ScopedInline, skin.TabularInline):
    """The communities that a user is a member of."""

    model = Membership
    autocomplete_fields = ["community"]
    verbose_name = "community"
    verbose_name_plural = "communities"


class UserAdmin(auth_admin.UserAdmin, skin.ModelAdmin):  # type: ignore[type-arg]
    """People who sign in. «Staff» opens this admin; the role in a community decides the rest."""

    form = skin.UserChangeForm
    add_form = skin.UserCreationForm
    change_password_form = skin.AdminPasswordChangeForm
    inlines = [MembershipOfUserInline]
    list_display = ["username", "email", "first_name", "last_name", "is_active", "is_staff"]
    list_filter = ["is_active", "is_staff", "is_superuser", "memberships__community"]

    def get_inlines(self, request: HttpRequest, obj: Any) -> Any:
        """Communities are given to a user who exists."""
        return self.inlines if obj else []


class GroupAdmin(auth_admin.GroupAdmin, skin.ModelAdmin):
    """Groups of permissions, for sites that need finer ones than roles."""


class AttemptAdmin(axes_admin.AccessAttemptAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """Failed sign-ins that may lock somebody out; delete a row to let them in again."""


class SignInAdmin(axes_admin.AccessLogAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """Who signed in, from where."""


class FailureAdmin(axes_admin.AccessFailureLogAdmin, skin.ModelAdmin):  # type: ignore[misc]
    """Who failed to sign in."""


for model, page in (
    (User, UserAdmin),
    (Group, GroupAdmin),
    (AccessAttempt, AttemptAdmin),
    (AccessLog, SignInAdmin),
    (AccessFailureLog, FailureAdmin),
):
    admin.site.unregister(model)
    admin.site.register(model, page)
