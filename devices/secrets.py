"""Credentials at rest: encrypted in the database, never shown, never lost to a wrong key.

`django-encrypted-model-fields` encrypts; this module keeps its three traps away from the rest of
the site: it returns ciphertext as the value when the key is wrong (and encrypts it again on the
next save), decrypts what a user types, and serialises plain text.
"""

from __future__ import annotations

import hmac
from typing import Any, NoReturn

from cryptography.fernet import InvalidToken
from django import forms
from django.db.models.query_utils import DeferredAttribute
from django.utils.text import capfirst
from encrypted_model_fields.fields import EncryptedCharField, decrypt_str, encrypt_str

HINT_LENGTH = 4
SHORTEST_WITH_HINT = 12


class SecretUnreadable(Exception):
    """The stored secret was encrypted with another key than FIELD_ENCRYPTION_KEY."""

    def __init__(self) -> None:
        """Say what happened and what to do about it."""
        super().__init__(
            "This stored secret was encrypted with another key. Restore the key file that belongs "
            "to this database, or enter the secret again."
        )


class Secret:
    """One credential; only `reveal` gives its text, and printing it never does."""

    __slots__ = ("_token",)

    def __init__(self, token: str) -> None:
        """Hold the stored, encrypted form (`token`); the empty string means «no secret»."""
        self._token = token

    @classmethod
    def of(cls, value: Secret | str | None) -> Secret:
        """Turn an assigned value into a secret: text is encrypted at once, nothing is decrypted."""
        if isinstance(value, Secret):
            return value
        return cls(encrypt_str(value).decode() if value else "")

    @property
    def token(self) -> str:
        """The encrypted form, exactly as stored."""
        return self._token

    @property
    def readable(self) -> bool:
        """Whether the configured key opens this secret (an empty one is readable)."""
        try:
            self.reveal()
        except SecretUnreadable:
            return False
        return True

    def reveal(self) -> str:
        """Return the plain text; raises SecretUnreadable when the key does not fit."""
        if not self._token:
            return ""
        try:
            return str(decrypt_str(self._token))
        except InvalidToken as error:
            raise SecretUnreadable from error

    @property
    def hint(self) -> str:
        """What a person may see: «••••5678», «not set» or «unreadable»."""
        if not self._token:
            return "not set"
        try:
            plain = self.reveal()
        except SecretUnreadable:
            return "unreadable: encrypted with another key"
        tail = plain[-HINT_LENGTH:] if len(plain) >= SHORTEST_WITH_HINT else ""
        return "••••" + tail

    def __bool__(self) -> bool:
        """Whether a secret is stored at all."""
        return bool(self._token)

    def __str__(self) -> str:
        """Never the secret itself."""
        return self.hint

    def __repr__(self) -> str:
        """Never the secret itself."""
        return f"<Secret {self.hint}>"

    def __eq__(self, other: object) -> bool:
        """Equal when the stored forms are the same."""
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._token, other._token)

    def __hash__(self) -> int:
        """Hash of the stored form."""
        return hash(self._token)

    def __copy__(self) -> Secret:
        """Secrets are immutable: a copy is the same object."""
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Secret:
        """Secrets are immutable: a copy is the same object."""
        return self

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled: a secret must not travel to a broker or a cache."""
        raise TypeError("A Secret must not leave the process that uses it; pass the row's id.")


class _SecretAttribute(DeferredAttribute):
    """Turns whatever is assigned to the field into a `Secret`."""

    def __set__(self, instance: Any, value: Any) -> None:
        instance.__dict__[self.field.attname] = Secret.of(value)


class SecretCharField(EncryptedCharField):  # type: ignore[misc]  # the library is untyped
    """A text column whose value is a `Secret`; the stored token is written back unchanged.

    `max_length` bounds the plain text and is enforced by the form field.
    """

    descriptor_class = _SecretAttribute

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Default to «no secret»; a secret is never NULL."""
        kwargs.setdefault("blank", True)
        kwargs.setdefault("default", "")
        super().__init__(*args, **kwargs)

    def from_db_value(self, value: str | None, *_: Any) -> Secret:
        """Hold the stored token without trying to open it."""
        return Secret(value or "")

    def to_python(self, value: Any) -> Secret:
        """Accept a secret or plain text; never decrypt what somebody typed."""
        return Secret.of(value)

    def run_validators(self, value: Any) -> None:
        """The plain text was validated by the form field; a token has no rules of its own."""

    def get_prep_value(self, value: Any) -> str:
        """The stored form."""
        return Secret.of(value).token

    def get_db_prep_save(self, value: Any, connection: Any) -> str:
        """The stored form; an unreadable secret is written back as it was read."""
        return Secret.of(value).token

    def value_to_string(self, obj: Any) -> str:
        """Serialisers (dumpdata, exports) get the hint, never text or token."""
        return Secret.of(self.value_from_object(obj)).hint

    def formfield(self, **kwargs: Any) -> forms.Field:
        """A write-only field: what is stored is never sent to a browser."""
        return SecretFormField(
            max_length=self.max_length,
            required=False,
            label=kwargs.get("label", capfirst(self.verbose_name)),
            help_text=kwargs.get("help_text", str(self.help_text or "")),
        )


class SecretInput(forms.PasswordInput):
    """A password box that never carries a value; its placeholder says what is stored."""

    def format_value(self, value: Any) -> None:
        """Send nothing back to the browser."""

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        """Never offered to a password manager as the user's own password."""
        return super().get_context(name, value, {"autocomplete": "new-password", **(attrs or {})})


CLEAR_WORD = "-"


class SecretFormField(forms.CharField):
    """Empty keeps what is stored; a single «-» removes it; anything else replaces it."""

    widget = SecretInput

    def say(self, stored: Secret, note: str = "type to replace") -> None:
        """Tell in the box what is stored, by its hint."""
        self.widget.attrs["placeholder"] = f"{stored.hint} ({note})" if stored else stored.hint

    def clean(self, value: Any) -> Any:
        """Return the new plain text, `CLEAR_WORD` or '' (keep)."""
        return super().clean("" if isinstance(value, Secret) else value)

    def has_changed(self, initial: Any, data: Any) -> bool:
        """Typing nothing changes nothing."""
        return bool(data)

    def replace(self, stored: Secret, entered: str) -> Secret:
        """The secret to store after a form was sent."""
        if not entered:
            return stored
        return Secret.of("" if entered == CLEAR_WORD else entered)
