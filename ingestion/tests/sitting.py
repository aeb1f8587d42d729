"""Somebody sits at the admin and adds a channel; the provider is the simulator."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import unescape
from typing import Any

from django.http import HttpResponse
from django.test import Client
from django.urls import reverse

from devices.models import ThingSpeakChannel
from devices.tests.scene import Scene

ADD = "admin:devices_thingspeakchannel_add"
TANK, ENERGY, EMPTY = 710001, 710006, 730008
ENERGY_KEY = "DEMOREADKEY00106"


@dataclass
class Sitting:
    """A browser on the page of a channel, and what was typed so far."""

    client: Client
    scene: Scene
    path: str = ""
    boxes: dict[str, Any] = field(default_factory=dict)
    page: Any = None

    def __post_init__(self) -> None:
        self.path = self.path or reverse(ADD)
        self.boxes = {
            "device": self.scene.hill.device.pk,
            "connection": self.scene.hill.connection.pk,
            "channel_id": TANK,
            "read_key": "",
            "enabled": "on",
            **self.boxes,
        }

    @classmethod
    def at(cls, client: Client, scene: Scene, channel: ThingSpeakChannel) -> Sitting:
        """On the page of a channel that exists."""
        path = reverse("admin:devices_thingspeakchannel_change", args=[channel.pk])
        sitting = cls(client, scene, path)
        sitting.boxes |= {
            "channel_id": channel.channel_id,
            "mappings-TOTAL_FORMS": 0,
            "mappings-INITIAL_FORMS": 0,
        }
        return sitting

    def press(self, button: str, **changes: Any) -> HttpResponse:
        """Send the page with one of its buttons."""
        self.boxes |= changes
        self.page = self.client.post(self.path, {**self.boxes, button: "1"})
        if self.page.status_code == 200 and self.page.context:
            self._take_over()
        answer: HttpResponse = self.page
        return answer

    @property
    def html(self) -> str:
        """The page's source, without character references."""
        return unescape(self.page.content.decode())

    @property
    def text(self) -> str:
        """What can be read on the page."""
        return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", self.html))

    def errors_of(self, box: str) -> list[str]:
        """What is said beside a box."""
        return list(self.page.context["adminform"].form.errors.get(box, []))

    def _take_over(self) -> None:
        """What a browser would send next: hidden boxes and the proposed table."""
        form = self.page.context["adminform"].form
        self.boxes["read_key"] = ""
        self.boxes["sealed_key"] = form["sealed_key"].value() or ""
        table = self.page.context["proposals"]
        if table is None:
            return
        self.boxes |= _values(table.management_form)
        for row in table.forms:
            self.boxes |= _values(row)


def _values(form: Any) -> Mapping[str, Any]:
    sent = {}
    for box in form:
        value = box.value()
        if value is None or value is False:
            continue
        sent[box.html_name] = "on" if value is True else value
    return sent
