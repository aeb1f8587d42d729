"""The admin of everything people configure, and the bases of every other app's admin pages."""

from __future__ import annotations

from devices.admin import community, device, job, people

__all__ = ["community", "device", "job", "people"]
