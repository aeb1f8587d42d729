"""The command: first line, catalogue, clean end, a port in use, the memory of the dead sensor."""

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from simulator.testing import RunningSimulator, SimulatorFailed
from simulator.tests.conftest import DEAD

ROOT = Path(__file__).resolve().parents[2]


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


def test_it_says_where_it_is_and_ends_cleanly() -> None:
    with RunningSimulator() as running:
        assert re.fullmatch(
            r"Simulator: http://127\.0\.0\.1:\d+ \(24 channels\)", running.first_line
        )
        # An open idle connection must not delay the end.
        port = int(running.url.rsplit(":", 1)[1])
        with socket.create_connection(("127.0.0.1", port)):
            assert running.stop() == 0


def test_a_port_in_use_is_said_clearly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = _run("--port", str(port))
    assert ended.returncode == 2
    assert f"port {port} is in use" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("arguments", [("--port", "70000"), ("--replay", "no/such/folder")])
def test_what_cannot_start_says_why_without_a_traceback(arguments: tuple[str, str]) -> None:
    ended = _run("--port", "0", *arguments)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Simulator: ")
    assert "Traceback" not in ended.stderr


def test_the_catalogue_is_json_with_the_recordings(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "created_at,entry_id,Level\n2024-01-01 00:00:00 UTC,1,5\n", encoding="utf-8"
    )
    catalogue = json.loads(_run("--catalogue", "--replay", str(tmp_path)).stdout)
    assert len(catalogue) == 25
    assert catalogue[-1]["id"] == 900_000
    assert (catalogue[-1]["file"], catalogue[-1]["rows"]) == ("a.csv", 1)
    assert catalogue[-1]["fields"] == {"field1": "Level"}


def test_the_dead_sensor_stays_dead_across_restarts(tmp_path: Path) -> None:
    state = tmp_path / "var" / "simulator.json"
    numbers = []
    for advance in (0, 86400):
        with RunningSimulator(state=state) as running:
            running.control("clock", "POST", {"advance_s": advance})
            numbers.append(
                len(
                    running.control(f"rows?channel={DEAD}&start=2020-01-01T00:00:00Z&limit=3")[
                        "rows"
                    ]
                )
            )
            numbers.append(running.control(f"rows?channel={DEAD}&limit=1")["rows"][0][1])
    assert numbers[0] == 3
    assert numbers[1] == numbers[3]
    state.write_text("{}", encoding="utf-8")
    ended = _run("--port", "0", "--state", str(state))
    assert ended.returncode == 2
    assert "damaged" in ended.stderr


def test_control_is_off_when_told() -> None:
    with RunningSimulator(arguments=["--no-control"]) as running, pytest.raises(SimulatorFailed):
        running.control("faults")
