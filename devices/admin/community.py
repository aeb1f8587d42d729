"""Communities and their members."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth.models import User
from django.db.models import Count, ForeignKey
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.utils.safestring import SafeString

from devices.access import ScopedQuerySet, Viewer, sees_everything
from devices.admin import skin
from devices.admin.base import ScopedAdmin, ScopedInline, link
from devices.models import Community, Membership

if TYPE_CHECKING:
    _UserChoice = ModelChoiceField[User]
else:
    _UserChoice = ModelChoiceField


class UserByName(_UserChoice):
    """A user, entered by exact name: managers do not get a list of everybody on the site."""

    def prepare_value(self, value: Any) -> Any:
        """Show the name of a stored user."""
        if isinstance(value, int):
            return User.objects.filter(pk=value).values_list("username", flat=True).first()
        return super().prepare_value(value)


class MembershipInline(ScopedInline, skin.TabularInline):
    """A community's members and what each may do."""

    model = Membership
    autocomplete_fields = ["user"]
    verbose_name = "member"

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """The administrator searches users; a manager enters a user name."""
        if db_field.name != "user" or sees_everything(request.user):
            return super().formfield_for_foreignkey(db_field, request, **kwargs)
        return UserByName(
            User.objects.all(),
            to_field_name="username",
            widget=skin.TextInput(),
            help_text="The exact name with which the person signs in.",
            error_messages={"invalid_choice": "There is no user of this name."},
        )


@admin.register(Community)
class CommunityAdmin(ScopedAdmin):
    """Communities: the administrator adds them, their managers keep them."""

    list_display = ["name", "zone", "device_count", "member_count", "dashboard"]
    list_filter = [("zone", admin.AllValuesFieldListFilter)]
    ordering = ["name"]
    search_fields = ["name", "slug"]
    prepopulated_fields = {"slug": ["name"]}
    inlines = [MembershipInline]

    def may_change(self, rows: ScopedQuerySet[Any], user: Viewer) -> ScopedQuerySet[Any]:
        """Managers only: a community's page also holds its members."""
        return rows.managed_by(user)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """The administrator only."""
        return sees_everything(request.user)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """The administrator only: all of a community's readings go with it."""
        return sees_everything(request.user)

    def view_on_site(self, obj: Community) -> str:
        """The community's dashboard."""
        return obj.get_absolute_url()

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        """The address is proposed from the name of a new community, and stays afterwards."""
        return {} if obj else self.prepopulated_fields

    def get_queryset(self, request: HttpRequest) -> Any:
        """With counts for the list."""
        rows = super().get_queryset(request)
        return rows.annotate(
            devices_counted=Count("devices", distinct=True),
            members_counted=Count("memberships", distinct=True),
        )

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Any]]:
        """The form with an explanation of the name."""
        kwargs.setdefault("help_texts", {"name": "The village, company or household."})
        return super().get_form(request, obj, change, **kwargs)

    @admin.display(description="devices", ordering="devices_counted")
    def device_count(self, row: Any) -> int:
        """How many devices the community has."""
        return int(row.devices_counted)

    @admin.display(description="members", ordering="members_counted")
    def member_count(self, row: Any) -> int:
        """How many members the community has."""
        return int(row.members_counted)

    @admin.display(description="dashboard")
    def dashboard(self, row: Community) -> SafeString:
        """A link to the community's page."""
        return link(row.get_absolute_url(), "Open dashboard")
