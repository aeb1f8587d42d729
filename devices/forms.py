"""Forms shared by admin pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django import forms

from devices.secrets import SecretFormField

if TYPE_CHECKING:
    _ModelForm = forms.ModelForm[Any]
else:
    _ModelForm = forms.ModelForm


class KeepsSecrets(_ModelForm):
    """A model form in which an empty secret box keeps the stored secret, readable or not."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            if isinstance(field, SecretFormField):
                field.say(getattr(self.instance, name))

    def _post_clean(self) -> None:
        stored = {
            name: getattr(self.instance, name)
            for name, field in self.fields.items()
            if isinstance(field, SecretFormField)
        }
        for name, secret in stored.items():
            field = self.fields[name]
            if isinstance(field, SecretFormField) and name in self.cleaned_data:
                self.cleaned_data[name] = field.replace(secret, self.cleaned_data[name])
        super()._post_clean()  # type: ignore[misc]  # the hook is not part of the stubs
