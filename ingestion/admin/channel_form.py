"""The form of a channel: verify before saving, save with mappings, and keys that never show."""

from __future__ import annotations

from typing import Any, ClassVar

from django import forms
from django.core import signing

from devices.forms import KeepsSecrets
from devices.models import FieldMapping, ThingSpeakChannel
from devices.secrets import Secret, SecretFormField
from ingestion.admin import proposal_forms
from ingestion.verify import Verification, metrics_known_to

VERIFY = "_verify"
CONFIRM = "_confirm"
KEY = "read_key"
SEALED = "sealed_key"
SEAL_LASTS_S = 3600


class ChannelForm(KeepsSecrets):
    """A channel. «Verify» makes it invalid on purpose, so that Django shows it and saves nothing.

    A key that was typed but not saved yet travels with the page, encrypted and signed for this
    user and an hour: nobody has to type it again to confirm, and no page ever shows it.
    """

    sealed_key = forms.CharField(required=False, widget=forms.HiddenInput)

    seal_for: ClassVar[str] = ""
    """The user that a sealed key belongs to; set by the page."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.verification: Verification | None = None
        self.created: list[FieldMapping] = []
        self._table: proposal_forms.BaseProposals | None = None

    @property
    def verifying(self) -> bool:
        """Whether «Verify» was pressed."""
        return self.is_bound and VERIFY in self.data

    @property
    def confirming(self) -> bool:
        """Whether «Save with these mappings» was pressed."""
        return self.is_bound and CONFIRM in self.data

    @property
    def channel(self) -> ThingSpeakChannel:
        """The channel as entered."""
        channel: ThingSpeakChannel = self.instance
        return channel

    @property
    def table(self) -> proposal_forms.BaseProposals | None:
        """The table of mappings, as proposed or as sent; None before the first verification."""
        if self._table is None and self.is_bound and proposal_forms.was_sent(self.data):
            known = metrics_known_to(self.channel)
            self._table = proposal_forms.table(known, data=self.data)
        return self._table

    def is_valid(self) -> bool:
        """Whether to save: never while verifying; with mappings, only when they are valid too."""
        if not super().is_valid() or self.verifying:
            return False
        if not self.confirming:
            return True
        if self.table is None or not self.table.is_valid():
            self.add_error(None, "Correct the marked mappings below, or leave their fields out.")
            return False
        return True

    def show(self, verification: Verification) -> None:
        """Put what verifying found onto the page: beside its box, and as a table."""
        self.verification = verification
        if verification.where in self.fields:
            self.add_error(verification.where, verification.message)
        if verification.proposals:
            self._table = proposal_forms.table(
                metrics_known_to(self.channel), proposals=verification.proposals
            )

    def clean(self) -> dict[str, Any]:
        """Take up a key that was typed on an earlier showing of this page."""
        data: dict[str, Any] = super().clean() or {}
        if KEY in data and not data[KEY] and data.get(SEALED):
            try:
                token = signing.loads(data[SEALED], salt=self._salt, max_age=SEAL_LASTS_S)
            except signing.BadSignature:
                self.add_error(KEY, "The key that you entered has expired here: enter it again.")
                return data
            # Whatever the seal says replaces what is stored, also «no key».
            self.instance.read_key = Secret(token)
        return data

    def keep_typed_key(self) -> None:
        """Before the page is shown again: seal what was typed, and say so in the box."""
        box = self.fields.get(KEY)
        if not isinstance(box, SecretFormField) or not (
            self.data.get(KEY) or self.data.get(SEALED)
        ):
            return
        if KEY in self.errors and self.verification is None:
            return  # what was typed could not even be read
        seal = signing.dumps(self.channel.read_key.token, salt=self._salt)
        self.data = {**{name: self.data[name] for name in self.data}, KEY: "", SEALED: seal}
        box.say(self.channel.read_key, "entered, not saved yet")

    @property
    def changed_data(self) -> list[str]:
        """A sealed key counts as a changed read key in the log of changes."""
        names: list[str] = super().changed_data
        return list(dict.fromkeys(KEY if name == SEALED else name for name in names))

    @property
    def _salt(self) -> str:
        return f"read key typed by user {self.seal_for}"
