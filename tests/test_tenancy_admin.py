"""The admin: what each person may do with each kind of row, and nothing of another community."""

from __future__ import annotations

from typing import Any

from tests.test_tenancy_scene import (
    DENIED,
    GONE,
    HIDDEN,
    OK,
    STAFF,
    TO_LOGIN,
    Rule,
)

# Rows of a community: its people read them, whoever has the role changes them.
OPERATED = (
    "connection", "device", "metric", "thingspeakchannel", "fieldmapping", "calibrationversion",
)  # fmt: skip
# What the site itself writes: the community's people read it, nobody edits it.
WRITTEN = (
    "latest", "receivedentry", "rollupentry", "alert", "pollstate", "polllog", "rejection",
    "sourceevent", "job", "mappingpause", "fieldprofile",
)  # fmt: skip
# What belongs to no community and names people or runs the site.
ADMINISTRATORS = (
    "user", "group", "accessattempt", "accesslog", "accessfailurelog", "periodictask",
    "intervalschedule", "solarschedule", "crontabschedule", "clockedschedule", "retentionrule",
)  # fmt: skip
# With a history of their own (django-simple-history).
VERSIONED = ("connection", "device", "thingspeakchannel", "fieldmapping", "calibrationversion")

CLOSED = {"nobody": TO_LOGIN, "member": TO_LOGIN}
"""The admin opens for staff only."""


def only(*who: str, else_: str = DENIED, args: tuple[str, ...] = (), **people: str) -> Rule:
    """These people may, other staff gets `else_`, people by name something of their own."""
    granted = dict.fromkeys(STAFF, else_) | dict.fromkeys(who, OK)
    return Rule(TO_LOGIN, TO_LOGIN, args=args, people=granted | CLOSED | people)


def site_wide(answer: str, args: tuple[str, ...] = ()) -> Rule:
    """The same for all staff."""
    return Rule(TO_LOGIN, answer, args=args, people=CLOSED)


SITE: dict[str, Rule] = {
    "admin:index": site_wide(OK),
    "admin:search": site_wide(OK),
    "admin:login": Rule(OK, "moved", people={"member": OK}),
    "admin:logout": Rule("moved", "only POST", people={"member": "moved"}),
    "admin:password_change": site_wide(OK),
    "admin:password_change_done": site_wide(OK),
    "admin:autocomplete": site_wide(DENIED),  # without a field; with one: see below
    "admin:jsi18n": site_wide(OK),
    "admin:view_on_site": Rule(GONE, GONE, args=("device type number", "device")),
    "admin:app_list": site_wide(OK, ("app",)),
    "admin/r/<path:row>": Rule(GONE, GONE),  # comes first: see `telemetry_site.urls`
    "admin/(?P<url>.*)$": site_wide("missing"),
}


def admin_rule(name: str, route: str) -> Rule:
    """The rule of an address of the admin; KeyError for a model without one."""
    if name in SITE:
        return SITE[name]
    _, _, model, what = name.split("/", 3) if name == route else _named(name)
    if what == "<path:object_id>/":
        return site_wide("moved", (model,))  # to the page that changes it
    if what == "simple_history":
        return _versions(model)
    kinds: dict[str, Any] = {
        **dict.fromkeys(OPERATED, _operated),
        **dict.fromkeys(WRITTEN, _written),
        **dict.fromkeys(ADMINISTRATORS, _administrators),
        "community": _community,
        "devicetype": _devicetype,
        "import": _import,
        "readingimport": _import,
        "status": _status,
        "priorityslack": _slack,
        "gap": _gap,
    }
    rule: Rule = kinds[model](model, what)
    return rule


def _named(name: str) -> tuple[str, str, str, str]:
    """`admin:devices_device_change` in its parts; app labels may hold underscores."""
    text = name.removeprefix("admin:").removeprefix("django_celery_")
    app, model, what = text.split("_", 2)
    return "admin", app, model, what


READERS = ("viewer", "operator", "manager", "admin")
OPERATORS = ("operator", "manager", "admin")


def _operated(model: str, what: str) -> Rule:
    foreign = {"stranger": HIDDEN, "unattached": HIDDEN}
    if what == "changelist":
        return site_wide(OK)
    if what == "add" and model == "calibrationversion":  # without a mapping: choose one
        granted = dict.fromkeys((*OPERATORS, "stranger"), "moved")
        return Rule(TO_LOGIN, DENIED, people=granted | CLOSED)
    if what == "add":
        adds = () if model == "fieldmapping" else (*OPERATORS, "stranger")
        return only(*adds)
    if what in ("preview", "poll_now", "decide", "resume"):
        args = () if what == "preview" else (model,)
        return Rule(TO_LOGIN, "only POST", args=args, people=CLOSED)
    may = OPERATORS if what in ("delete", "recompute") else READERS
    return only(*may, args=(model,), **foreign)


def _gap(model: str, what: str) -> Rule:
    """Written by the site; whoever operates a community has ranges of it read again."""
    if what == "add":
        return only(*OPERATORS, "stranger")
    if what == "cancel":
        return Rule(TO_LOGIN, "only POST", args=(model,), people=CLOSED)
    return _written(model, what)


def _versions(model: str) -> Rule:
    args = (model, f"{model} version")
    return only(*READERS, args=args, stranger=GONE, unattached=GONE)


def _written(model: str, what: str) -> Rule:
    if what == "changelist":
        return site_wide(OK)
    if what == "add":
        return site_wide(DENIED)
    if what == "progress":
        return site_wide(OK)  # of the jobs one may see; none is asked about here
    if what == "cancel":
        return Rule(TO_LOGIN, "only POST", args=(model,), people=CLOSED)
    readers = () if what == "delete" else READERS
    return only(*readers, args=(model,), stranger=HIDDEN, unattached=HIDDEN)


def _import(model: str, what: str) -> Rule:
    if what == "changelist":
        return site_wide(OK)
    if what == "add":
        return only(*OPERATORS, "stranger")
    foreign = {"stranger": HIDDEN, "unattached": HIDDEN}
    if what == "api":  # asks the channel: for those who may start it
        return only(*OPERATORS, args=("thingspeakchannel",), **foreign)
    may = OPERATORS if what == "delete" else READERS
    return only(*may, args=(model,), **foreign)


def _community(model: str, what: str) -> Rule:
    if what == "changelist":
        return site_wide(OK)
    if what == "add":
        return only("admin")
    may = ("admin",) if what == "delete" else READERS
    return only(*may, args=(model,), stranger=HIDDEN, unattached=HIDDEN)


def _devicetype(model: str, what: str) -> Rule:
    if what == "changelist":
        return site_wide(OK)
    if what in ("add", "delete"):
        return only("admin", args=() if what == "add" else (model,))
    return site_wide(OK, (model,))  # kinds of devices are no secret


def _status(model: str, what: str) -> Rule:
    return site_wide(OK)  # a page, cut to what each of them may see


def _slack(model: str, what: str) -> Rule:
    """Concerns everybody, so only the administrator sees it; one row for each class, for ever."""
    if what in ("add", "delete"):
        return site_wide(DENIED, () if what == "add" else (model,))
    return only("admin", args=() if what == "changelist" else (model,))


def _administrators(model: str, what: str) -> Rule:
    if model.startswith("access") and what == "add":
        return site_wide(DENIED)  # the site writes them
    args = () if what in ("changelist", "add") else (model,)
    return only("admin", args=args)
