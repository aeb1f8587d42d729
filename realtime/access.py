"""Which topics the person behind a socket may hear, now and later."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from channels.auth import get_user
from channels.db import database_sync_to_async
from django.contrib.sessions.backends.base import SessionBase

from devices.access import Viewer
from devices.models import Community, Device
from realtime.topics import community_topic, device_topic, named


@database_sync_to_async
def visible(user: Viewer, topics: Iterable[str]) -> set[str]:
    """Those of `topics` that the user may hear, in at most two queries.

    A topic that is not there and one of somebody else's are both just not among them.
    """
    communities, devices = named(topics)
    found: set[str] = set()
    if communities:
        rows = Community.objects.visible_to(user).filter(pk__in=communities)
        found.update(community_topic(pk) for pk in rows.values_list("pk", flat=True))
    if devices:
        units = Device.objects.visible_to(user).filter(uuid__in=devices)
        found.update(device_topic(uuid) for uuid in units.values_list("uuid", flat=True))
    return found


async def current_user(session: SessionBase) -> Viewer:
    """The user as the database knows them now; anonymous once logged out or deactivated."""
    # `__class__`, because Channels hands out a lazy object whose type() is another.
    lookup: Any = {"session": session.__class__(session.session_key)}
    return cast(Viewer, await get_user(lookup))
