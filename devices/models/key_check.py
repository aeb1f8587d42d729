"""Proof that the configured encryption key is the one this database was written with."""

from __future__ import annotations

from django.db import models

from devices.secrets import Secret, SecretCharField, SecretUnreadable

KNOWN_TEXT = "telemetry-site key check"


class KeyMismatch(Exception):
    """FIELD_ENCRYPTION_KEY does not fit this database."""

    def __init__(self) -> None:
        """Say what happened and what to do about it."""
        super().__init__(
            "The encryption key does not fit this database: its stored credentials cannot be read. "
            "Restore the key that belongs to it (DATA_DIR/field_encryption.key or "
            "FIELD_ENCRYPTION_KEY). Nothing was changed."
        )


class KeyCheck(models.Model):
    """One row holding a known text, encrypted with the key of this database."""

    secret = SecretCharField(max_length=64)

    def __str__(self) -> str:
        """What this row is."""
        return "encryption key check"

    @classmethod
    def verify(cls) -> None:
        """Raise KeyMismatch when the configured key does not open the stored text.

        A database without a row (new, not yet migrated to its end) passes.
        """
        row = cls.objects.order_by("pk").first()
        if row is None:
            return
        try:
            fits = row.secret.reveal() == KNOWN_TEXT
        except SecretUnreadable as error:
            raise KeyMismatch from error
        if not fits:
            raise KeyMismatch

    @classmethod
    def ensure(cls) -> None:
        """Store the known text once, with the key in force when the database is made."""
        if not cls.objects.exists():
            cls.objects.create(secret=Secret.of(KNOWN_TEXT))
