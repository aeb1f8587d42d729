"""Answers that are not data: errors as documented, and those that a fault puts in the place of
data.
"""

from collections.abc import Callable
from email.utils import formatdate

from simulator.faults import Fault
from simulator.messages import HTML, JSON, TEXT, Answer, Delivery
from simulator.render import dumps

_CODES = {
    400: ("error_bad_request", "Bad Request", "The request cannot be fulfilled due to bad syntax."),
    401: (
        "error_auth_required",
        "Authorization Required",
        "Please provide proper authentication details.",
    ),
    402: (
        "error_payment_required",
        "Payment Required",
        "The message limit of your license has been reached.",
    ),
    404: (
        "error_resource_not_found",
        "Resource Not Found",
        "The requested resource was not found.",
    ),
    405: (
        "error_method_invalid",
        "Method Invalid",
        "Please use the proper HTTP method for this request.",
    ),
    406: ("error_bad_request", "Not Acceptable", "This format is not offered here."),
    409: ("error_conflict", "Conflict", "The request conflicts with the state of the resource."),
    413: ("error_request_too_large", "Request Too Large", "Your request is too large."),
    429: (
        "error_too_many_requests",
        "Too Many Requests",
        "Please wait before making another request.",
    ),
}


def error(status: int, details: str | None = None, *, as_text: bool = False) -> Answer:
    """The error body of ThingSpeak: nested JSON, or the bare code as text; those without a code are
    HTML pages.
    """
    if status not in _CODES:
        return page(status)
    code, message, usual = _CODES[status]
    if as_text:
        return Answer(status, code.encode(), TEXT)
    body = {
        "status": str(status),
        "error": {"error_code": code, "message": message, "details": details or usual},
    }
    return Answer(status, dumps(body).encode(), JSON)


def page(status: int) -> Answer:
    """A page as a proxy or a maintenance notice sends it where a client expects JSON."""
    title = f"<title>{status}</title>"
    body = f"<!DOCTYPE html><html><head>{title}</head><body><h1>{status}</h1></body></html>"
    return Answer(status, body.encode(), HTML)


def too_many(retry_after_s: float | None, now: float, *, as_date: bool = False) -> Answer:
    """429, with Retry-After in seconds or as an HTTP date if given."""
    return _retry(error(429), retry_after_s, now, as_date=as_date)


def _retry(answer: Answer, retry_after_s: float | None, now: float, *, as_date: bool) -> Answer:
    if retry_after_s is not None:
        seconds = -int(-retry_after_s // 1)
        answer.headers["Retry-After"] = (
            formatdate(now + seconds, usegmt=True) if as_date else str(seconds)
        )
    return answer


def _status(fault: Fault, now: float) -> Answer:
    wait = None if fault.options["retry_after"] is None else fault.number("retry_after")
    return _retry(
        error(int(fault.number("code"))), wait, now, as_date=bool(fault.options["as_date"])
    )


def _redirect(fault: Fault, _now: float) -> Answer:
    return Answer(int(fault.number("code")), b"", HTML, {"Location": str(fault.options["to"])})


def _huge(fault: Fault, _now: float) -> Answer:
    head, tail = b'{"channel":{"id":1},"feeds":[', b"]}"
    return Answer(
        200, head + b" " * (int(fault.number("bytes")) - len(head) - len(tail)) + tail, JSON
    )


_INSTEAD: dict[str, Callable[[Fault, float], Answer]] = {
    "status": _status,
    "html": lambda fault, _now: page(int(fault.number("code"))),
    "minus_one": lambda fault, _now: Answer(int(fault.number("code")), b"-1", JSON),
    "redirect": _redirect,
    "huge": _huge,
}


def instead_of_data(faults: list[Fault], now: float) -> Answer | None:
    """The answer that a fault gives in the place of data; `now` is real time, for dates."""
    for fault in faults:
        if fault.stage == "answer":
            return _INSTEAD[fault.kind](fault, now)
    return None


def delivery_of(faults: list[Fault]) -> Delivery | None:
    """How faults harm the bytes of an answer, None if they do not."""
    harmful = [fault for fault in faults if fault.stage == "delivery"]
    if not harmful:
        return None
    delivery = Delivery()
    for fault in harmful:
        if fault.kind == "latency":
            delivery.delay_s += fault.number("seconds")
        elif fault.kind == "reset":
            delivery.reset_after = int(fault.number("after_bytes"))
        elif fault.kind == "cutoff":
            delivery.cut_fraction = fault.number("fraction")
        else:
            delivery.drip = int(fault.number("chunk")), fault.number("interval_s")
    return delivery
