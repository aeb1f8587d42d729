"""The control API under /control: faults, limiter, clock, journal, rows and catalogue. For tests,
never for clients.
"""

import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from simulator.api import Api
from simulator.channels import Row
from simulator.distortions import seen_through
from simulator.faults import KINDS, FaultError
from simulator.limiter import Limiter
from simulator.messages import Answer, Request
from simulator.render import dumps
from simulator.times import json_form, parse, zone_of

Body = Mapping[str, Any]


class ControlError(Exception):
    """A control request that makes no sense; the message says why."""


def _body(request: Request, *, lists: bool) -> Any:
    """The JSON of a request: an object, or a list of objects where that makes sense."""
    try:
        body = json.loads(request.body) if request.body else {}
    except ValueError as problem:
        raise ControlError(f"the body is no JSON: {problem}") from problem
    parts = body if lists and isinstance(body, list) else [body]
    if not all(isinstance(part, dict) for part in parts):
        raise ControlError("the body must be a JSON object")
    return body


def _number(body: Body, name: str, default: float | None = None) -> float | None:
    value = body.get(name, default)
    if value is None or (isinstance(value, int | float) and not isinstance(value, bool)):
        return value
    raise ControlError(f"{name} must be a number")


def _integer(params: Mapping[str, str], name: str) -> int | None:
    text = params.get(name)
    if not text:
        return None
    if not text.isdecimal():
        raise ControlError(f"{name} must be a whole number")
    return int(text)


def _instant(params: Mapping[str, str], name: str) -> float | None:
    text = params.get(name)
    if not text:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    at = parse(text, zone_of(None, None))
    if at is None:
        raise ControlError(f"{name} must be an instant such as 2026-11-20T10:00:00Z")
    return at


def _rows_json(rows: Iterable[Row], *, values: bool) -> list[list[object]]:
    return [
        [
            json_form(row.at) if row.created_at is None else row.created_at,
            row.entry_id,
            *(row.values if values else ()),
        ]
        for row in rows
    ]


class Control:
    """Answers requests under /control; everything is JSON."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._actions: Mapping[str, Callable[[Request, Body], object]] = {
            "GET /control/catalogue": lambda _request, _body: api.channels.catalogue(),
            "GET /control/faults": lambda _request, _body: self._faults(),
            "POST /control/faults": self._add_faults,
            "DELETE /control/faults": self._clear_faults,
            "GET /control/limiter": lambda _request, _body: self._limiter(),
            "POST /control/limiter": self._set_limiter,
            "DELETE /control/limiter": self._end_limiter,
            "GET /control/clock": lambda _request, _body: self._clock(),
            "POST /control/clock": self._set_clock,
            "DELETE /control/clock": self._reset_clock,
            "GET /control/journal": self._journal,
            "POST /control/journal": self._set_journal,
            "DELETE /control/journal": self._reset_journal,
            "GET /control/rows": self._rows,
            "GET /control/ages": self._ages,
            "GET /control/pace": self._pace,
            "POST /control/reset": self._reset,
        }

    def answer(self, request: Request) -> Answer:
        """Do what a control request asks."""
        fault = re.fullmatch(r"/control/faults/(\d+)", request.path)
        path = "/control/faults" if fault else request.path
        action = self._actions.get(f"{request.method} {path}")
        if action is None:
            offered = ", ".join(sorted(self._actions))
            return Answer(404, dumps({"error": f"no such control; there are {offered}"}).encode())
        try:
            body = _body(request, lists=path == "/control/faults")
            if fault:
                body = {"id": int(fault[1])}
            return Answer(200, dumps(action(request, body)).encode())
        except (ControlError, FaultError) as problem:
            return Answer(400, dumps({"error": str(problem)}).encode())

    def _faults(self) -> object:
        return {"active": [fault.as_json() for fault in self._api.faults], "kinds": sorted(KINDS)}

    def _add_faults(self, _request: Request, body: Body | list[Body]) -> object:
        now = self._api.clock.now()
        described = body if isinstance(body, list) else [body]
        added = [self._api.faults.add(one, now).as_json() for one in described]
        self._api.forget()
        return added if isinstance(body, list) else added[0]

    def _clear_faults(self, request: Request, body: Body) -> object:
        fault_id = body.get("id")
        chosen = fault_id if isinstance(fault_id, int) else None
        cleared = self._api.faults.clear(
            fault_id=chosen, channel=_integer(request.params, "channel")
        )
        self._api.forget()
        return {"cleared": cleared}

    def _limiter(self) -> object:
        return self._api.limiter.as_json() if self._api.limiter else None

    def _set_limiter(self, _request: Request, body: Body) -> object:
        limit, window = _number(body, "limit"), _number(body, "window_s")
        if limit is None or limit < 0 or limit != int(limit) or not window or window < 0:
            raise ControlError("limit (whole number) and window_s (seconds) are needed")
        per_channel, retry_after = (
            bool(body.get("per_channel", False)),
            bool(body.get("retry_after", True)),
        )
        self._api.limiter = Limiter(int(limit), window, per_channel, retry_after)
        return self._limiter()

    def _end_limiter(self, _request: Request, _body: Body) -> object:
        before = self._limiter()
        self._api.limiter = None
        return before

    def _clock(self) -> object:
        clock = self._api.clock
        return {
            "now": clock.now(),
            "iso": json_form(clock.now()),
            "speed": clock.speed,
            "real": time.time(),
        }

    def _set_clock(self, _request: Request, body: Body) -> object:
        clock = self._api.clock
        at = body.get("at")
        instant = _instant({"at": str(at)}, "at") if at is not None else clock.now()
        speed = _number(body, "speed")
        if speed is not None and speed < 0:
            raise ControlError("speed must not be negative")
        if body.get("freeze"):
            speed = 0.0
        clock.run(at=(instant or 0.0) + (_number(body, "advance_s", 0) or 0), speed=speed)
        return self._clock()

    def _reset_clock(self, _request: Request, _body: Body) -> object:
        self._api.clock.reset()
        self._api.forget()
        return self._clock()

    def _journal(self, request: Request, _body: Body) -> object:
        params = request.params
        after, limit = _integer(params, "after") or 0, _integer(params, "limit")
        return self._api.journal.as_json(
            _integer(params, "channel"), after, 1000 if limit is None else limit
        )

    def _set_journal(self, _request: Request, body: Body) -> object:
        self._api.journal.record(bool(body.get("record_rows")), self._api.clock.now())
        return {"record_rows": self._api.journal.record_rows}

    def _reset_journal(self, _request: Request, _body: Body) -> object:
        self._api.journal.reset()
        return {"reset": True}

    def _rows(self, request: Request, _body: Body) -> object:
        """[created_at, entry_id] of the rows that exist now, as faults show them (`faulted`), or
        that were served; with `values` what their fields hold, too.
        """
        params = request.params
        channel_id = _integer(params, "channel")
        channel = None if channel_id is None else self._api.channels.get(channel_id)
        if channel is None or channel_id is None:
            raise ControlError("channel must be one of the catalogue")
        start, end = _instant(params, "start"), _instant(params, "end")
        if params.get("served") == "true":
            rows = [
                one.row
                for one in self._api.journal.served(channel_id)
                if (start is None or one.row.at >= start) and (end is None or one.row.at <= end)
            ]
        else:
            seen = seen_through(
                channel, self._api.faults.active(channel_id) if "faulted" in params else ()
            )
            rows = seen.rows(
                start, end, _integer(params, "limit") or 100_000, self._api.clock.now()
            )
        return {
            "channel": channel_id,
            "count": len(rows),
            "rows": _rows_json(rows, values="values" in params),
        }

    def _ages(self, _request: Request, _body: Body) -> object:
        """How old each row was when it was first answered, in seconds, by channel; rows of before
        recording began are left out.
        """
        since = self._api.journal.recording_since
        return {
            str(channel.facts.id): [
                round(one.age_s, 3)
                for one in self._api.journal.served(channel.facts.id)
                if one.row.at >= since
            ]
            for channel in self._api.channels
        }

    def _pace(self, request: Request, _body: Body) -> object:
        """Requests for channels between two instants of the steady clock, which it names, and the
        most in any window.
        """
        now = time.monotonic()
        since, until = _instant(request.params, "since"), _instant(request.params, "until")
        window = _instant(request.params, "window_s")
        if not window:
            raise ControlError("window_s (seconds) is needed")
        start, end = since or 0.0, now if until is None else until
        return {"now": now, **self._api.journal.pace(window, start, end)}

    def _reset(self, request: Request, body: Body) -> object:
        """Everything as at the start: no faults, no limiter, real time, empty journal."""
        self._api.faults.clear()
        self._end_limiter(request, body)
        self._reset_journal(request, body)
        self._api.journal.record(False, self._api.clock.now())
        return self._reset_clock(request, body)
