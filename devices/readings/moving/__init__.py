"""Moving the big tables from one engine to another, beside a running site."""

from devices.readings.moving.move import Move, MoveFailed
from devices.readings.moving.progress import Progress

__all__ = ["Move", "MoveFailed", "Progress"]
