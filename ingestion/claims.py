"""A claim: the right to ask once. Fenced, so that a late worker cannot overwrite a newer one."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to ask one source (or fill one gap) once.

    Not before `not_before`: seconds of the gate's time (`Gate.now`), which all processes share.
    """

    pk: int
    token: int
    not_before: float


class LeaseLost(Exception):
    """Somebody else holds this row by now: this worker's result is refused."""
