"""What the tenancy tests play with: two communities, everybody, and a row of everything."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Self

from axes.models import AccessAttempt, AccessFailureLog, AccessLog
from django.apps import apps
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core import serializers
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)

from devices.alerts.models import Alert, Kind, Severity
from devices.models import CalibrationVersion, Job, Priority, Role
from devices.readings.models import (
    ReadingImport,
    ReceivedEntry,
    RetentionRule,
    RollupEntry,
)
from devices.readings.rollups import roll_up
from devices.readings.samples import Received, Sample
from devices.readings.store import get_store
from devices.tests.scene import Scene, browser, person
from ingestion.models import (
    ConnectionHour,
    ConnectionMinute,
    EntryLedger,
    FieldProfile,
    FormerField,
    Gap,
    Import,
    MappingPause,
    PollLog,
    PollState,
    Rejection,
    SourceDay,
    SourceEvent,
)

INSIDERS = ("member", "viewer", "operator", "manager", "admin")
"""People of Hill (and the administrator). «member» is a viewer who is no staff."""
STAFF = ("stranger", "unattached", "viewer", "operator", "manager", "admin")
"""Whom the admin lets in. «stranger» operates Valley, «unattached» is in no community."""
PEOPLE = ("nobody", "stranger", "unattached", *INSIDERS)

OK = "ok"
TO_LOGIN = "to login"
REFUSED = "refused"
"""401 or 403, for programs: nobody is signed in."""
GONE = "gone"
"""404, to the byte as if the thing did not exist."""
HIDDEN = "hidden"
"""In the admin: whatever it says of a row that does not exist, it says of this one."""
DENIED = "denied"
"""403: visible, but not allowed; or no row is involved."""

NOT_THERE = {"uuid": "00000000-0000-4000-8000-000000000000", "slug": "no-such-place"}


@dataclass(frozen=True)
class Rule:
    """Who gets what of a route; `args` name rows of Hill (`Places`)."""

    nobody: str
    others: str
    insiders: str | None = None
    args: Sequence[str] = ()
    people: dict[str, str] = field(default_factory=dict)
    """Exceptions by person."""

    def of(self, who: str) -> str:
        if who in self.people:
            return self.people[who]
        if who == "nobody":
            return self.nobody
        insider = who in INSIDERS and self.insiders is not None
        return str(self.insiders) if insider else self.others


@dataclass
class Places:
    """Hill's rows by what routes call them, and how to address them."""

    rows: dict[str, Any]

    @property
    def slug(self) -> str:
        return str(self.rows["slug"])

    @property
    def uuid(self) -> str:
        return str(self.rows["uuid"])

    def url(self, name: str, *args: str) -> str:
        return reverse(name, args=[self.rows[one] for one in args])

    def missing(self, name: str, *args: str) -> str:
        """The same address with rows that do not exist."""
        return reverse(name, args=[NOT_THERE.get(one, 999_999_999) for one in args])

    def canaries_in(self, answer: Any) -> list[str]:
        """Words of Hill in an answer, apart from the address that was asked for."""
        text = answer.headers.get("Location", "") + answer.content.decode(errors="replace")
        text = text.replace(answer.wsgi_request.path, "")
        return [word for word in ("Hill", self.slug, self.uuid) if word in text]


@dataclass
class Tenancy:
    """The scene, and what is asked of it."""

    scene: Scene
    places: Places
    people: dict[str, User | None]
    clients: dict[str, Client]

    @classmethod
    def make(cls) -> Self:
        scene = Scene.make()
        # A word that no help text holds.
        scene.hill.community.slug = "hill-7f3a"
        scene.hill.community.save()
        # Whoever may import over the API asks the provider: nobody answers here.
        scene.hill.connection.base_url = "http://127.0.0.1:1"
        scene.hill.connection.save()
        people: dict[str, User | None] = {
            "nobody": None,
            "unattached": person("unattached"),
            "member": person("member", scene.hill.community, Role.VIEWER),
            **{who: scene.user(who) for who in ("stranger", "viewer", "operator", "manager")},
            "admin": scene.admin,
        }
        User.objects.filter(username="member").update(is_staff=False)
        clients = {who: browser(user) for who, user in people.items()}
        return cls(scene, Places(rows_of(scene)), people, clients)

    def user(self, who: str) -> User:
        user = self.people[who]
        assert user is not None
        user.refresh_from_db()
        return user

    def client(self, who: str) -> Client:
        return self.clients[who]

    def complaints(self, name: str, route: str, rule: Rule, who: str) -> list[str]:
        """Where an answer differs from the rule."""
        expected = rule.of(who)
        path = self._path(name, route, rule)
        client = self.client(who)
        answer = client.get(path)
        got = [f"{who} GET {path} ({name}): {expected!r} expected, got {answer.status_code}"]
        wrong = [] if self._fits(expected, answer, path) else got
        if expected in (GONE, HIDDEN):
            twin = client.get(self._missing(name, route, rule))
            if not same(answer, twin):
                wrong.append(f"{who} {path}: existence shows ({twin.status_code})")
        if who not in INSIDERS and self.places.canaries_in(answer):
            wrong.append(f"{who} {path}: names Hill {self.places.canaries_in(answer)}")
        if expected not in (OK, "home", "moved", "only POST"):
            sent = client.post(path, {"post": "yes", "name": "Stolen"})
            if sent.status_code < 300:
                wrong.append(f"{who} POST {path}: {sent.status_code}")
        return wrong

    def _path(self, name: str, route: str, rule: Rule) -> str:
        if not unnamed(name, route):
            return self.places.url(name, *rule.args)
        row = str(self.places.rows[rule.args[0]]) if rule.args else "no/such/page"
        return "/" + route.split("<")[0].split("(")[0] + row + "/"

    def _missing(self, name: str, route: str, rule: Rule) -> str:
        if unnamed(name, route):
            return "/no/such/page/"
        return self.places.missing(name, *rule.args)

    def _fits(self, expected: str, answer: Any, path: str) -> bool:
        status, location = answer.status_code, answer.headers.get("Location", "")
        fits: dict[str, bool] = {
            OK: status == 200 or path == "/readyz",
            TO_LOGIN: status == 302 and "/login/?next=" in location,
            REFUSED: status in (401, 403),
            GONE: status == 404,
            HIDDEN: status in (302, 403, 404) and "/login/" not in location,
            DENIED: status == 403,
            "home": status == 302 and location == "/",
            "moved": status in (301, 302) and "/login/" not in location,
            "only POST": status == 405,
            "missing": status == 404,
            "incomplete": status == 400,
        }
        return fits[expected]

    def fingerprint(self) -> str:
        """Everything that people configure and the site stores, as it is now."""
        labels = ("devices", "readings", "alerts", "ingestion", "auth", "django_celery_beat")
        kept = [one for label in labels for one in apps.get_app_config(label).get_models()]
        rows = [row for model in kept for row in model._default_manager.order_by("pk")]
        for row in rows:
            if isinstance(row, User):
                row.last_login = None
        return str(serializers.serialize("json", rows))


def unnamed(name: str, route: str) -> bool:
    """Whether a route must be put together by hand."""
    return name == route and "/" in route


def same(answer: Any, twin: Any) -> bool:
    """Whether two answers tell the same."""
    if answer.status_code != twin.status_code:
        return False
    if answer.status_code == 302:
        return bool(answer["Location"] == twin["Location"])
    return bool(answer.content == twin.content)


def rows_of(scene: Scene) -> dict[str, Any]:
    """A row of Hill for every model that has a page, and of the administrator's own."""
    now = timezone.now()
    hill, source = scene.hill, scene.hill.channel
    at = (now - timedelta(hours=30)).replace(microsecond=0)
    get_store().write(
        [Sample(hill.device.pk, at, 1, {hill.metric.pk: 5.0})],
        [Received(source.pk, hill.device.pk, at, 1, {"field1": "5"})],
    )
    roll_up(now)
    alert = Alert.objects.create(
        key="k", kind=Kind.DEVICE_OFFLINE, severity=Severity.CRITICAL, text="Tank of Hill silent",
        community=hill.community, device=hill.device, opened_at=now,
    )  # fmt: skip
    calibration = CalibrationVersion.objects.create(
        mapping=hill.mapping, kind="linear", scale=2.0, note="Measured on Hill"
    )
    counted = {"connection": hill.connection, "lane": "live", "requests": 1, "answered": 1}
    ConnectionMinute.objects.create(minute=at, **counted)
    ConnectionHour.objects.create(hour=at, **counted)
    every, _ = IntervalSchedule.objects.get_or_create(every=7, period="days")
    return {
        "app": "devices",
        "device type number": ContentType.objects.get_for_model(type(hill.device)).pk,
        "slug": hill.community.slug,
        "uuid": hill.device.uuid,
        "community": hill.community.pk,
        "connection": hill.connection.pk,
        "device": hill.device.pk,
        "devicetype": hill.device.type_id,
        "metric": hill.metric.pk,
        "thingspeakchannel": source.pk,
        "fieldmapping": hill.mapping.pk,
        "calibrationversion": calibration.pk,
        "alert": alert.pk,
        "latest": hill.metric.pk,
        "receivedentry": ReceivedEntry.objects.get(source=source).pk,
        "rollupentry": RollupEntry.objects.filter(metric=hill.metric)[0].pk,
        "pollstate": PollState.objects.create(
            source=source, connection=source.connection, next_poll_at=now
        ).pk,
        "polllog": PollLog.objects.create(
            source=source, at=now, lane="live", outcome="ok", duration_ms=1
        ).pk,
        "rejection": Rejection.objects.create(source=source, received_at=now, reason="x").pk,
        "retentionrule": RetentionRule.objects.create(community=hill.community).pk,
        "gap": Gap.objects.create(
            source=source, since=at, until=now, range_until=now, found_at=now, next_try_at=now
        ).pk,
        "import": Import.objects.create(
            source=source, way="csv", file_name="Hill.csv", created_at=now
        ).pk,
        "readingimport": ReadingImport.objects.create(
            device=hill.device, file_name="Hill.csv", created_at=now
        ).pk,
        "priorityslack": Priority.LOW.value,
        "entryledger": EntryLedger.objects.create(source=source).pk,
        "sourceday": SourceDay.objects.create(source=source, day=now.date(), entries=1).pk,
        "mappingpause": MappingPause.objects.create(
            mapping=hill.mapping, source=source, kind="unit", since=now, found_at=now,
            text="Jumped at Hill",
        ).pk,
        "formerfield": FormerField.objects.create(
            mapping=hill.mapping, source=source, field="field2", until=at
        ).pk,
        "fieldprofile": FieldProfile.objects.create(
            source=source, field="field1", label="Level at Hill",
            learned_since=now, updated_at=now,
        ).pk,
        "sourceevent": SourceEvent.objects.create(
            source=source, at=now, kind="imported", text="Imported for Hill"
        ).pk,
        "job": Job.objects.create(
            community=hill.community, kind="none", subject="Work for Hill", state="done"
        ).pk,
        "user": scene.manager.pk,
        "group": Group.objects.create(name="Group of Hill").pk,
        "accessattempt": AccessAttempt.objects.create(username="hill", failures_since_start=1).pk,
        "accesslog": AccessLog.objects.create(username="hill").pk,
        "accessfailurelog": AccessFailureLog.objects.create(username="hill").pk,
        "intervalschedule": every.pk,
        "periodictask": PeriodicTask.objects.create(name="Hill", task="x", interval=every).pk,
        "solarschedule": SolarSchedule.objects.create(
            event="sunrise", latitude=1, longitude=1
        ).pk,
        "crontabschedule": CrontabSchedule.objects.create().pk,
        "clockedschedule": ClockedSchedule.objects.create(clocked_time=now).pk,
        "connection version": hill.connection.history.values_list("pk", flat=True)[0],
        "device version": hill.device.history.values_list("pk", flat=True)[0],
        "thingspeakchannel version": source.history.values_list("pk", flat=True)[0],
        "calibrationversion version": calibration.history.values_list("pk", flat=True)[0],
        "fieldmapping version": hill.mapping.history.values_list("pk", flat=True)[0],
    }  # fmt: skip
