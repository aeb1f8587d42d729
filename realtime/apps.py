"""The app of live updates and dashboards."""

from __future__ import annotations

from django.apps import AppConfig

from realtime import revoke


class RealtimeConfig(AppConfig):
    """Live sockets and dashboards; has no tables of its own."""

    name = "realtime"
    label = "realtime"

    def ready(self) -> None:
        """Let a lost membership or a logout reach open sockets."""
        revoke.connect_signals()
