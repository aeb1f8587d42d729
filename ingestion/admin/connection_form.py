"""The form of an account: budgets that people know by name, or one of their own."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from django import forms
from django.core.exceptions import ValidationError

from devices.admin import skin
from devices.forms import KeepsSecrets

CUSTOM = "custom"
WINDOW_S = 60
# Requests a minute, in words. ThingSpeak itself documents no limit for reading.
PRESETS = {
    4: "4 a minute: one every 15 seconds",
    12: "12 a minute: one every 5 seconds",
    60: "60 a minute: one a second, polite towards any provider",
    240: "240 a minute: four a second, for hundreds of channels",
}
_BUDGET = ("rate_limit", "rate_window_s")


class ConnectionForm(KeepsSecrets):
    """An account; a stored key never follows a change of address by itself."""

    preset = forms.ChoiceField(
        label="Request budget",
        required=False,
        choices=[
            *((str(limit), text) for limit, text in PRESETS.items()),
            (CUSTOM, "Another budget, entered below"),
        ],
        widget=skin.Select,
        help_text="How many requests all channels of this account may send together. ThingSpeak "
        "limits how often a channel is written (every 15 seconds on a free licence, every second "
        "on a paid one), not how often it is read; still, whoever asks too often is refused.",
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        account = self.instance
        self.initial["preset"] = preset_of(account.rate_limit, account.rate_window_s)
        for name in _BUDGET:
            if name in self.fields:
                self.fields[name].required = False

    def clean(self) -> dict[str, Any]:
        """Budget and address, judged as a whole."""
        data: dict[str, Any] = super().clean() or {}
        self._keep_key_at_home(data)
        self._apply_preset(data)
        first, longest = data.get("breaker_open_s"), data.get("breaker_open_max_s")
        if first and longest and longest < first:
            self.add_error(
                "breaker_open_max_s",
                f"The longest pause cannot be shorter than the first one of {first} s. Enter at "
                "least that, or shorten the first pause.",
            )
        return data

    def _keep_key_at_home(self, data: dict[str, Any]) -> None:
        """Refuse to send a stored key to another host than the one it was entered for."""
        before = urlsplit(str(self.initial.get("base_url", "")))
        after = urlsplit(data.get("base_url", ""))
        moved = self.instance.pk and (before.scheme, before.netloc) != (after.scheme, after.netloc)
        if moved and "base_url" in data and self.instance.account_key and not data["account_key"]:
            raise ValidationError(
                {
                    "account_key": "The address changed. Enter the key again for the new address, "
                    "or a single - to remove it: it is not sent to another host by itself."
                }
            )

    def _apply_preset(self, data: dict[str, Any]) -> None:
        """A chosen preset is the budget; numbers that say something else are not overruled."""
        chosen = data.get("preset") or CUSTOM
        if chosen == CUSTOM:
            for name in _BUDGET:
                if name in data and data[name] is None:
                    self.add_error(name, "Enter a number, or choose one of the budgets above.")
            return
        numbers = {"rate_limit": int(chosen), "rate_window_s": WINDOW_S}
        for name, number in numbers.items():
            if name in self.changed_data and data.get(name) not in (None, number):
                self.add_error(
                    "preset",
                    "You chose a budget and entered another one below. Choose “Another budget” to "
                    "use the numbers.",
                )
                return
        data |= numbers


def preset_of(limit: int, window_s: int) -> str:
    """The preset that a budget is."""
    known = window_s == WINDOW_S and limit in PRESETS
    return str(limit) if known else CUSTOM
