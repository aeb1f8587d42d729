"""Real starts of the whole site, as a newcomer does them: a fresh directory, nothing installed."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from scripts.servers import free_port
from telemetry_site.start.configuration import DEMONSTRATION_FILE
from telemetry_site.tests.whole_site import LOGIN, WORDS, Site, wait_for

pytestmark = pytest.mark.timeout(300)


def test_first_start_and_second(site: Site) -> None:
    console = site.start()
    password = LOGIN.findall(console)[0]
    assert console.count(password) == 1
    assert f"http://127.0.0.1:{site.port}" in console
    assert site.get("/healthz") == 200
    assert site.get("/readyz") == 200
    assert site.can_log_in(password)

    for path in (site.data_dir, *kept_files(site)):
        assert path.stat().st_mode & 0o077 == 0, f"{path} can be read by others"
    assert all(password.encode() not in file.read_bytes() for file in kept_files(site))

    assert site.stop() == 0
    assert "Traceback" not in site.console()
    assert site.processes() == {}

    console = site.start()
    assert f"Continuing with DATA_DIR {site.data_dir}" in console
    assert not LOGIN.findall(console)
    assert site.can_log_in(password)
    assert site.stop(signal.SIGTERM) == 0
    assert site.processes() == {}


def test_a_dispatcher_that_stands_still_is_seen_within_five_seconds(site: Site) -> None:
    site.start()
    word = WORDS["dispatcher"]
    standing = [pid for pid, command in site.processes().items() if word in command]
    for pid in standing:
        os.kill(pid, signal.SIGSTOP)
    wait_for(lambda: site.get("/readyz") == 503, seconds=5)
    for pid in standing:
        os.kill(pid, signal.SIGCONT)
    wait_for(lambda: site.get("/readyz") == 200)


def kept_files(site: Site) -> list[Path]:
    """What the site keeps, without the static files that everybody may see."""
    public = site.data_dir / "static"
    everything = [path for path in site.data_dir.rglob("*") if path.is_file()]
    return [path for path in everything if public not in path.parents]


def test_the_demonstration_is_there_at_the_first_start(site: Site) -> None:
    site.start(DEMO="1")
    assert site.value("SELECT count(*) FROM devices_device") > 0
    assert any("simulator" in command for command in site.processes().values())
    assert site.stop() == 0
    assert site.processes() == {}

    # On other ports, the demonstration follows its simulator.
    moved = free_port()
    site.start(until="✓ Demonstration exists", DEMO="1", SIMULATOR_PORT=str(moved))
    site.stop()
    assert site.value("SELECT base_url FROM devices_connection") == f"http://127.0.0.1:{moved}"


def test_a_command_asks_the_simulator_only_beside_the_demonstration(site: Site) -> None:
    site.start(DEMO="1")
    said = dry_run(site, "710001")
    assert (said.returncode, said.stderr) == (0, "")
    assert "field1 “Water Level (cm)” feeds Water level" in said.stdout
    said = dry_run(site, "710002", DEMO="0")
    assert said.returncode == 1
    assert "ALLOWED_PRIVATE_NETWORKS" in said.stderr

    site.stop()
    (site.data_dir / DEMONSTRATION_FILE).touch()  # as a start leaves it that was killed
    site.start(DEMO="0")
    said = dry_run(site, "710003")
    assert said.returncode == 1
    assert "leads into a private network" in said.stderr


def dry_run(site: Site, channel: str, **changes: str) -> CompletedProcess[str]:
    """What a channel holds, asked from a shell that was told nothing but where the site is."""
    asking = ("import_channel", "--api", "--source", channel, "--dry-run")
    return site.manage(*asking, **{"DEMO": "1", **changes})


def test_a_copy_beside_the_first_has_its_own_data(site: Site, second: Site) -> None:
    site.start()
    assert LOGIN.findall(second.start())
    assert second.get("/healthz") == site.get("/healthz") == 200
    assert second.stop() == 0
    assert site.get("/healthz") == 200
