"""Stored credentials survive a wrong key, never show, and a wrong key is refused at start."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from cryptography.fernet import Fernet, MultiFernet
from django.core import serializers
from django.core.checks import run_checks
from django.db import connection as database
from django.urls import reverse
from encrypted_model_fields import fields

from devices.checks import encryption_key_fits
from devices.models import Connection, KeyCheck, ThingSpeakChannel
from devices.models.key_check import KeyMismatch
from devices.secrets import Secret, SecretUnreadable
from devices.tests.scene import ACCOUNT_KEY, KEY, Scene, browser


@contextmanager
def another_key() -> Iterator[None]:
    """The site runs with a key that is not the one its database was written with."""
    right = fields.CRYPTER
    fields.CRYPTER = MultiFernet([Fernet(Fernet.generate_key())])
    try:
        yield
    finally:
        fields.CRYPTER = right


def stored(pk: int) -> str:
    """What the database itself holds."""
    with database.cursor() as cursor:
        cursor.execute(
            "SELECT read_key FROM devices_thingspeakchannel WHERE source_ptr_id = %s", [pk]
        )
        return str(cursor.fetchone()[0])


def test_the_database_holds_no_plain_text(scene: Scene) -> None:
    assert KEY not in stored(scene.hill.channel.pk)
    assert scene.hill.channel.read_key.reveal() == KEY


def test_a_wrong_key_is_an_error_and_saving_keeps_the_secret(scene: Scene) -> None:
    before = stored(scene.hill.channel.pk)
    with another_key():
        channel = ThingSpeakChannel.objects.get(pk=scene.hill.channel.pk)
        with pytest.raises(SecretUnreadable, match="Restore the key file"):
            channel.read_key.reveal()
        assert "unreadable" in str(channel.read_key)
        channel.interval_s = 77
        channel.save()
    assert stored(channel.pk) == before
    again = ThingSpeakChannel.objects.get(pk=channel.pk)
    assert (again.interval_s, again.read_key.reveal()) == (77, KEY)


def test_the_admin_form_keeps_an_unreadable_secret(scene: Scene) -> None:
    before = stored(scene.hill.channel.pk)
    path = reverse("admin:devices_thingspeakchannel_change", args=[scene.hill.channel.pk])
    data = {
        "connection": scene.hill.connection.pk, "channel_id": 101, "read_key": "", "enabled": "on",
        "interval_s": 99, "mappings-TOTAL_FORMS": 0, "mappings-INITIAL_FORMS": 0, "_continue": "1",
    }  # fmt: skip
    with another_key():
        client = browser(scene.operator)
        assert "unreadable" in client.get(path).content.decode()
        assert client.post(path, data).status_code == 302
    channel = ThingSpeakChannel.objects.get(pk=scene.hill.channel.pk)
    assert channel.interval_s == 99
    assert stored(channel.pk) == before
    assert channel.read_key.reveal() == KEY


def test_the_form_keeps_replaces_and_clears(scene: Scene) -> None:
    path = reverse("admin:devices_thingspeakchannel_change", args=[scene.hill.channel.pk])
    data = {
        "connection": scene.hill.connection.pk, "channel_id": 101, "enabled": "on",
        "mappings-TOTAL_FORMS": 0, "mappings-INITIAL_FORMS": 0,
    }  # fmt: skip
    client = browser(scene.operator)
    for entered, expected in (("", KEY), ("NEWKEY0123456789", "NEWKEY0123456789"), ("-", "")):
        assert client.post(path, {**data, "read_key": entered}).status_code == 302
        channel = ThingSpeakChannel.objects.get(pk=scene.hill.channel.pk)
        assert channel.read_key.reveal() == expected


def test_typed_text_is_never_decrypted(scene: Scene) -> None:
    token = scene.hill.channel.read_key.token
    assert Secret.of(token).reveal() == token


def test_printing_pickling_and_serialising_never_show_it(scene: Scene) -> None:
    secret = scene.hill.channel.read_key
    assert str(secret) == "••••8ABC"[:4] + KEY[-4:]
    for text in (repr(secret), f"{secret}", serializers.serialize("json", [scene.hill.channel])):
        assert KEY not in text
        assert secret.token not in text
    with pytest.raises(TypeError):
        pickle.dumps(secret)


def test_a_short_secret_has_no_hint() -> None:
    assert Secret.of("short").hint == "••••"
    assert Secret.of("").hint == "not set"


def test_a_wrong_key_is_refused_at_start(scene: Scene) -> None:
    assert encryption_key_fits(["default"]) == []
    with another_key():
        (error,) = encryption_key_fits(["default"])
        assert error.id == "devices.E001"
        assert "does not fit this database" in error.msg
        with pytest.raises(KeyMismatch):
            KeyCheck.verify()
        assert any(one.id == "devices.E001" for one in run_checks(databases=["default"]))


def test_every_secret_of_the_scene_is_readable(scene: Scene) -> None:
    assert Connection.objects.get(pk=scene.hill.connection.pk).account_key.reveal() == ACCOUNT_KEY
