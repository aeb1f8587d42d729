"""The admin's look is a setting: the same pages in django-unfold's skin or in Django's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django.apps import apps
from django.contrib import admin

if TYPE_CHECKING:
    ModelAdmin: TypeAlias = admin.ModelAdmin[Any]
    StackedInline: TypeAlias = admin.StackedInline[Any, Any]
    TabularInline: TypeAlias = admin.TabularInline[Any, Any]
elif apps.is_installed("unfold"):
    from unfold.admin import ModelAdmin, StackedInline, TabularInline
else:
    from django.contrib.admin import ModelAdmin, StackedInline, TabularInline

if TYPE_CHECKING or not apps.is_installed("unfold"):
    from django.contrib.admin.widgets import (
        AdminIntegerFieldWidget as NumberInput,
    )
    from django.contrib.admin.widgets import (
        AdminTextareaWidget as Textarea,
    )
    from django.contrib.admin.widgets import (
        AdminTextInputWidget as TextInput,
    )
    from django.contrib.auth.forms import (
        AdminPasswordChangeForm,
        AdminUserCreationForm,
        UserChangeForm,
    )
    from django.forms import CheckboxInput, Select
    from django.forms import ClearableFileInput as FileInput

    UserCreationForm = AdminUserCreationForm
else:
    from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
    from unfold.widgets import UnfoldAdminFileFieldWidget as FileInput
    from unfold.widgets import UnfoldAdminSelectWidget as Select
    from unfold.widgets import UnfoldAdminTextareaWidget as Textarea
    from unfold.widgets import UnfoldAdminTextInputWidget as NumberInput
    from unfold.widgets import UnfoldAdminTextInputWidget as TextInput
    from unfold.widgets import UnfoldBooleanWidget as CheckboxInput

__all__ = [
    "AdminPasswordChangeForm",
    "CheckboxInput",
    "FileInput",
    "ModelAdmin",
    "NumberInput",
    "Select",
    "StackedInline",
    "TabularInline",
    "TextInput",
    "Textarea",
    "UserChangeForm",
    "UserCreationForm",
]
