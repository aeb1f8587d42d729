"""Taking access away from sockets that are already open.

Control messages travel as an ordinary channel-layer group message, so that
`channel_layer.group_send` works for them as well; the hub listens for its whole process, which
saves a subscription and a task per socket. Whoever misses such a message (Redis away) is caught
by each socket's own periodic check.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog
from channels.layers import get_channel_layer
from django.conf import settings
from django.contrib.auth.signals import user_logged_out
from django.db import transaction
from django.db.models.signals import post_delete, post_save
from django.http import HttpRequest
from redis.exceptions import RedisError

from realtime.publish import publisher

log = structlog.get_logger(__name__)

GROUP = "realtime.control"
TYPE = "access.revoked"


@dataclass(frozen=True, slots=True)
class Revocation:
    """Whose sockets to check now; those of `session` (a digest) end without a check."""

    user: int
    session: str | None


def session_digest(session_key: str) -> str:
    """Names a session without giving its key away: session keys are secrets."""
    return hashlib.sha256(session_key.encode()).hexdigest()


def control_channel() -> str:
    """The Redis channel under which channels-redis publishes for our group."""
    layers: dict[str, dict[str, Any]] = settings.CHANNEL_LAYERS
    prefix = layers["default"]["CONFIG"].get("prefix", "asgi")
    return f"{prefix}__group__{GROUP}"


def read_control(data: bytes) -> Revocation | None:
    """Understand a control message; None if it is another one."""
    message: dict[str, Any] = _layer().deserialize(data)
    if message.get("type") != TYPE:
        return None
    return Revocation(int(message["user"]), message.get("session"))


def revoke(user_id: int, session_key: str | None = None) -> bool:
    """Have every process check this user's sockets now, after membership or account changed.

    Sockets of `session_key` (a logout) end at once. Returns whether Redis took the message; if
    not, the sockets' periodic check does the job later.
    """
    digest = None if session_key is None else session_digest(session_key)
    message = {"type": TYPE, "user": user_id, "session": digest}
    try:
        publisher().redis.publish(control_channel(), _layer().serialize(message))
    except (RedisError, OSError) as error:
        log.warning("realtime_revoke_failed", user_id=user_id, error=str(error))
        return False
    return True


def connect_signals() -> None:
    """Listen to what takes access away: logout, membership, account."""
    user_logged_out.connect(_logged_out, dispatch_uid="realtime.logged_out")
    for signal in (post_save, post_delete):
        signal.connect(
            _membership_changed, sender="devices.Membership", dispatch_uid="realtime.membership"
        )
    post_save.connect(
        _account_changed, sender=settings.AUTH_USER_MODEL, dispatch_uid="realtime.account"
    )


def _layer() -> Any:  # channels-redis is untyped
    return get_channel_layer()


def _logged_out(*, request: HttpRequest, user: Any, **_: object) -> None:
    if user is not None and request.session.session_key is not None:
        transaction.on_commit(partial(revoke, user.pk, request.session.session_key))


def _membership_changed(*, instance: Any, **_: object) -> None:
    transaction.on_commit(partial(revoke, instance.user_id))


def _account_changed(*, instance: Any, created: bool, **_: object) -> None:
    if not created:
        transaction.on_commit(partial(revoke, instance.pk))
