"""Two communities and everybody who may look at one of them, or at none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from django.contrib.auth.models import User
from django.test import Client

from devices.models import (
    Community,
    Connection,
    Device,
    DeviceType,
    FieldMapping,
    Membership,
    Metric,
    Role,
    ThingSpeakChannel,
)

KEY = "CANARYKEY5678ABC"
ACCOUNT_KEY = "CANARYACCOUNT999"


@dataclass
class Village:
    """A community with one of everything that belongs to it."""

    community: Community
    connection: Connection
    device: Device
    metric: Metric
    channel: ThingSpeakChannel
    mapping: FieldMapping

    @classmethod
    def make(cls, name: str, number: int) -> Self:
        slug = name.lower()
        community = Community.objects.create(name=name, slug=slug, zone="Asia/Kolkata")
        connection = Connection.objects.create(
            name=f"Account of {name}", community=community, account_key=ACCOUNT_KEY
        )
        kind = DeviceType.objects.get(slug="overhead-tank")
        device = Device.objects.create(community=community, type=kind, name=f"Tank of {name}")
        metric = Metric.objects.create(
            device=device, name="water_level_cm", label="Water level", unit="cm"
        )
        channel = ThingSpeakChannel.objects.create(
            device=device, connection=connection, channel_id=number, read_key=KEY
        )
        mapping = FieldMapping.objects.create(source=channel, field="field1", metric=metric)
        return cls(community, connection, device, metric, channel, mapping)


def person(name: str, community: Community | None = None, role: Role | None = None) -> User:
    """A member of staff, in a community or in none."""
    user = User.objects.create_user(name, password=name, is_staff=True)
    if community and role:
        Membership.objects.create(community=community, user=user, role=role)
    return user


def browser(user: User | None) -> Client:
    """A browser in which the user is signed in (nobody: None)."""
    client = Client()
    if user:
        client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


@dataclass
class Scene:
    """Hill is ours, Valley is somebody else's."""

    hill: Village
    valley: Village
    admin: User
    manager: User
    operator: User
    viewer: User
    stranger: User

    @classmethod
    def make(cls) -> Self:
        hill, valley = Village.make("Hill", 101), Village.make("Valley", 202)
        return cls(
            hill,
            valley,
            User.objects.create_superuser("admin", password="admin"),
            person("manager", hill.community, Role.MANAGER),
            person("operator", hill.community, Role.OPERATOR),
            person("viewer", hill.community, Role.VIEWER),
            person("stranger", valley.community, Role.OPERATOR),
        )

    def user(self, who: str) -> User | None:
        """A person of the scene by name; None for «nobody»."""
        found = {
            "admin": self.admin,
            "manager": self.manager,
            "operator": self.operator,
            "viewer": self.viewer,
            "stranger": self.stranger,
        }
        return found.get(who)
