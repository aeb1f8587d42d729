"""Bases of admin pages: who sees and changes what follows from membership, in either skin.

The staff flag opens the admin; a person's role in a community decides what it shows: viewers read,
operators change what belongs to the community, managers also its members. Rows of other
communities do not exist for them, not even as a choice in a list. What belongs to no community is
the administrator's, or follows Django's own permissions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib.admin import RelatedFieldListFilter
from django.contrib.admin.options import BaseModelAdmin, InlineModelAdmin
from django.db.models import Field, Model, QuerySet
from django.db.models.fields.related import RelatedField
from django.forms import ModelChoiceField, ModelForm
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from devices.access import ScopedQuerySet, Viewer, sees_everything
from devices.admin import skin
from devices.admin.deleting import Deletion, deletion_of
from devices.models import Community
from devices.secrets import SecretFormField

if TYPE_CHECKING:
    _Base = BaseModelAdmin[Any]
    _Inline = InlineModelAdmin[Any, Any]
else:
    _Base = _Inline = object


def rows_of(model: type[Model]) -> QuerySet[Any]:
    """All rows of a model."""
    return model._default_manager.all()


def is_staff(request: HttpRequest) -> bool:
    """Whether the admin is open to the user at all."""
    return bool(request.user.is_active and request.user.is_staff)


def operates_anything(request: HttpRequest) -> bool:
    """Whether the user operates at least one community; asked once per request.

    The administrator does, also before there is any.
    """
    if sees_everything(request.user):
        return True
    known = getattr(request, "_operates_anything", None)
    if known is None:
        known = Community.objects.operable_by(request.user).exists()
        request._operates_anything = known  # type: ignore[attr-defined]
    return bool(known)


class ScopedChoices(_Base):
    """Choices of foreign keys hold only rows that the user may use."""

    def get_field_queryset(
        self, db: str | None, db_field: RelatedField[Any, Any], request: HttpRequest
    ) -> QuerySet[Any] | None:
        """The rows of the user's own communities, where the rows belong to communities."""
        queryset = super().get_field_queryset(db, db_field, request)
        if queryset is None:
            queryset = rows_of(db_field.remote_field.model)
        if isinstance(queryset, ScopedQuerySet):
            return queryset.operable_by(request.user)
        return queryset


def keep_current_choices(form: type[ModelForm[Any]], obj: Model | None) -> None:
    """Let a row keep what it points to, also when the user could not choose it anew.

    A channel may use an account that several communities share: its operators need not see that
    account to save the channel.
    """
    for name, field in form.base_fields.items():
        if obj is None or not isinstance(field, ModelChoiceField):
            continue
        current = getattr(obj, f"{name}_id", None)
        if current is not None and field.queryset is not None:
            field.queryset = field.queryset | rows_of(field.queryset.model).filter(pk=current)


class VisibleOnly(RelatedFieldListFilter):
    """A list filter that offers only rows that the user may see: names of others stay private."""

    def field_choices(self, field: Any, request: HttpRequest, model_admin: Any) -> Any:
        """Key and name of each row."""
        rows = rows_of(field.remote_field.model)
        if isinstance(rows, ScopedQuerySet):
            rows = rows.visible_to(request.user)
        return [(row.pk, str(row)) for row in rows]


class SkinnedSecrets(_Base):
    """Secret boxes look like the other text boxes of the skin."""

    def formfield_for_dbfield(
        self, db_field: Field[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        """The skin's classes on our own widget; the skin's widget would show what is stored."""
        box = super().formfield_for_dbfield(db_field, request, **kwargs)
        if isinstance(box, SecretFormField):
            box.widget.attrs["class"] = skin.TextInput().attrs.get("class", "")
        return box


class PageAdmin(SkinnedSecrets, ScopedChoices, skin.ModelAdmin):
    """A page of what belongs to no community; Django's permissions decide who changes it."""

    list_per_page = 50
    show_full_result_count = False
    compressed_fields = False  # labels above their boxes, in the unfold skin
    warn_unsaved_form = True

    class Media:
        """Small corrections of both skins."""

        css = {"all": ["admin_pages/pages.css"]}

    def get_deleted_objects(self, objs: Any, request: HttpRequest) -> Deletion:
        """What would go, counted instead of listed: a device may have millions of log rows."""
        return deletion_of(list(objs), lambda row: self.has_delete_permission(request, row))


class ScopedAdmin(PageAdmin):
    """A page of rows that belong to communities."""

    def may_change(self, rows: ScopedQuerySet[Any], user: Viewer) -> ScopedQuerySet[Any]:
        """Those of the rows that the user may change."""
        return rows.operable_by(user)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows that the user may see."""
        rows = super().get_queryset(request)
        return rows.visible_to(request.user) if isinstance(rows, ScopedQuerySet) else rows.none()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Results; as choices of another page (autocomplete), only what the user may use."""
        match = request.resolver_match
        if match and match.url_name == "autocomplete" and isinstance(queryset, ScopedQuerySet):
            queryset = queryset.operable_by(request.user)
        return super().get_search_results(request, queryset, search_term)

    def get_form(
        self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any
    ) -> type[ModelForm[Any]]:
        """The form, whose choices include what the row points to now."""
        form = super().get_form(request, obj, change, **kwargs)
        keep_current_choices(form, obj)
        return form

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Staff see the section; its rows are scoped."""
        return is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff who may see the row."""
        if not is_staff(request) or obj is None or sees_everything(request.user):
            return is_staff(request)
        rows = rows_of(type(obj)).filter(pk=obj.pk)
        return isinstance(rows, ScopedQuerySet) and rows.visible_to(request.user).exists()

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Staff who operate at least one community."""
        return is_staff(request) and operates_anything(request)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Staff who may change the row."""
        if not is_staff(request) or sees_everything(request.user):
            return is_staff(request)
        if obj is None:
            return operates_anything(request)
        rows = rows_of(type(obj)).filter(pk=obj.pk)
        return isinstance(rows, ScopedQuerySet) and self.may_change(rows, request.user).exists()

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change a row may delete it."""
        return self.has_change_permission(request, obj)


class ReadOnlyAdmin(ScopedAdmin):
    """A page of what the site itself writes: people read it, nobody edits it."""

    list_display_links: Any = None
    warn_unsaved_form = False

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Nobody."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Nobody."""
        return False


class ReferenceAdmin(PageAdmin):
    """Rows that every community uses, such as device types: staff read, permission to change."""

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Staff see the section."""
        return is_staff(request)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """All staff."""
        return is_staff(request)


class ScopedInline(ScopedChoices, _Inline):
    """Rows edited on another row's page, by whoever may edit that page."""

    extra = 0
    tab = False

    def _page(self) -> skin.ModelAdmin:
        return self.admin_site.get_model_admin(self.parent_model)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As on the page."""
        return bool(self._page().has_view_permission(request, obj))

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As on the page."""
        return bool(self._page().has_change_permission(request, obj))

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Whoever may change the page; on a new one, whoever may add it."""
        page = self._page()
        return bool(
            page.has_add_permission(request)
            if obj is None
            else page.has_change_permission(request, obj)
        )

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """As changing."""
        return self.has_change_permission(request, obj)


def link(url: str, text: str) -> SafeString:
    """A link in a list or on a page."""
    return format_html('<a class="page-link" href="{}">{}</a>', url, text)
