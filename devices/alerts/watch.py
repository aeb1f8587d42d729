"""Opening and resolving alerts: idempotent, and each says whether it changed anything."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction

from devices.alerts.models import Alert, Kind, Severity
from devices.models import Connection, Device, Source
from devices.phrases import shortened


def key_of(kind: Kind, subject: int) -> str:
    """The key of an alert about this subject (a source's, device's or connection's number)."""
    return f"{kind.value}:{subject}"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What an alert is about, and the key under which it can be open only once."""

    kind: Kind
    severity: Severity
    device: Device | None = None
    source: Source | None = None
    connection: Connection | None = None

    @property
    def key(self) -> str:
        """Identity of the trouble, whatever its text says."""
        subject = self.source or self.device or self.connection
        return key_of(self.kind, subject.pk if subject else 0)

    @classmethod
    def offline(cls, device: Device) -> Trouble:
        """A device that no longer reports."""
        return cls(Kind.DEVICE_OFFLINE, Severity.CRITICAL, device=device)

    @classmethod
    def failing(cls, source: Source) -> Trouble:
        """A source that refuses us: wrong key, no such channel."""
        return cls(Kind.SOURCE_FAILING, Severity.WARNING, device=source.device, source=source)

    @classmethod
    def upstream(cls, connection: Connection) -> Trouble:
        """A provider that does not answer: one alert, however many devices it feeds."""
        return cls(Kind.UPSTREAM_DOWN, Severity.WARNING, connection=connection)


def open_alert(trouble: Trouble, reason: str, text: str, now: datetime) -> Alert | None:
    """Open an alert; returns it, or None when one is open already (its text is brought up to date).

    Two workers may notice the same trouble at once: the database keeps one of the two rows.
    """
    text = shortened(text)
    known = Alert.objects.open().filter(key=trouble.key)
    if known.exists():
        known.exclude(text=text, reason=reason).update(text=text, reason=reason)
        return None
    community = trouble.device.community if trouble.device else None
    if community is None and trouble.connection is not None:
        community = trouble.connection.community
    try:
        with transaction.atomic():
            return Alert.objects.create(
                key=trouble.key,
                kind=trouble.kind,
                severity=trouble.severity,
                community=community,
                device=trouble.device,
                source=trouble.source,
                connection=trouble.connection,
                reason=reason,
                text=text,
                opened_at=now,
            )
    except IntegrityError:
        return None


def resolve_alert(trouble: Trouble, now: datetime) -> list[Alert]:
    """Resolve the open alerts of this trouble (there is one at most); returns those resolved."""
    known = Alert.objects.open().filter(key=trouble.key)
    return [resolved for alert in known for resolved in resolve_alert_row(alert, now)]


def resolve_alert_row(alert: Alert, now: datetime) -> list[Alert]:
    """Resolve one open alert; returns it, or nothing when another worker was first."""
    if not Alert.objects.open().filter(pk=alert.pk).update(resolved_at=now):
        return []
    alert.resolved_at = now
    return [alert]
