"""A refusal can be shown to anyone who may see the device: no keys, no broken characters, short."""

from __future__ import annotations

import pytest

from devices.masking import shown
from ingestion.entries import Reason, Refusal

KEY = "ZX81QL3KSPECTRUM"


@pytest.mark.parametrize(
    "raw",
    [
        f"19.00GET /update?key={KEY}&field1=3",
        f"81POST /update api_key={KEY}",
        f"/update?API_KEY%3D{KEY}",
        f"X-THINGSPEAKAPIKEY: {KEY}",
        f'{{"api_key": "{KEY}"}}',
        f"19.0{' ' * 20}{KEY}",
        f"key={KEY[:9]}",
    ],
)
def test_keys_that_devices_glue_into_values_are_masked(raw: str) -> None:
    text = Refusal(Reason.NOT_A_NUMBER, "No number.", "field1", raw).raw
    assert KEY[:9] not in text
    assert "****" in text


def test_a_key_at_the_cut_is_masked_before_cutting() -> None:
    text = shown("x" * 248 + "key=" + KEY)
    assert len(text) == 255
    assert KEY[:3] not in text


def test_ordinary_values_are_shown_as_received() -> None:
    for raw in ("4,8", "9223372036854776000,000", "27.4°C", "24HTTP/1.1", "OFFLINE"):
        assert shown(raw) == raw


def test_the_text_is_short_and_can_be_stored() -> None:
    assert len(shown("7" * 10_000)) == 255
    assert shown("a\x00b\ud800c") == "a\ufffdb\ufffdc"
    assert shown({"field1": [1, None]}) == '{"field1": [1, null]}'
