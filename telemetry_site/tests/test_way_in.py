"""The box at the end of a start says how the site is backed up."""

from __future__ import annotations

from pathlib import Path

import pytest

from telemetry_site.start import configuration as conf
from telemetry_site.start import run


@pytest.mark.parametrize("elsewhere", ["", "clickhouse://u:hush@h/d"])
def test_readings_elsewhere_are_part_of_the_backup_by_command(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, elsewhere: str
) -> None:
    shown: list[str] = []
    monkeypatch.setattr(run, "frame", shown.extend)
    monkeypatch.setenv("READINGS_URL", elsewhere)
    configuration = conf.read({"DATA_DIR": str(tmp_path)})

    run._Site(configuration)._show_the_way_in()

    text = "\n".join(shown)
    assert "Back up this directory whole" in text
    assert (f"{configuration.manage} backup" in text) is bool(elsewhere)
    assert "back them up there" not in text
    assert "hush" not in text
