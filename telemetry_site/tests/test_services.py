"""`make test` starts its own servers, ends them, and says loudly what it could not do."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts import reports, servers

PROJECT = Path(__file__).resolve().parent.parent.parent
# What the command under test needs not start: named, so it is taken as given.
GIVEN = {"TEST_POSTGRES_URL": "postgres://given", "CHROMIUM": "/given"}
ASK = "import os, redis; redis.Redis.from_url(os.environ['TEST_REDIS_URL']).ping(); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    """Run Python code as the command of `scripts.services`."""
    unset = {"TEST_REDIS_URL": ""}
    return subprocess.run(
        [sys.executable, "-m", "scripts.services", "--", sys.executable, "-c", code],
        cwd=PROJECT,
        env=os.environ | GIVEN | unset,
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_finds_its_servers_and_they_are_gone_afterwards() -> None:
    done = run(ASK + "print(os.environ['TEST_REDIS_URL'], os.environ['TEST_POSTGRES_URL'])")
    assert done.returncode == 0, done.stderr
    url, given = done.stdout.split()
    assert given == GIVEN["TEST_POSTGRES_URL"]
    port = url.rsplit(":", 1)[1].split("/")[0]
    listening = Path("/proc/net/tcp").read_text() if sys.platform == "linux" else ""
    assert f"0100007F:{int(port):04X} 00000000:0000 0A" not in listening


def test_a_failing_command_fails() -> None:
    assert run(ASK + "raise SystemExit(7)").returncode == 7


REPORT = """<testsuites><testsuite name="pytest">
<testcase classname="devices.tests.test_a" name="test_1"/>
<testcase classname="devices.tests.test_a" name="test_2"><failure message="no"/></testcase>
<testcase classname="tests.test_b" name="test_3"><skipped message="needs Chromium"/></testcase>
<testcase classname="tests.test_b" name="test_4"><skipped message="needs Chromium"/></testcase>
</testsuite></testsuites>"""


def test_the_last_lines_name_what_was_not_tested(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "sqlite.xml").write_text(REPORT)
    reports.say(reports.summary(tmp_path), ["Chromium: not installed"])
    said = capsys.readouterr().out
    assert "!! NOT EVERYTHING WAS TESTED ON THIS MACHINE" in said
    assert "!! not available: Chromium: not installed" in said
    assert "!! skipped 2 in sqlite: tests.test_b: needs Chromium" in said
    assert said.endswith("tests: 1 passed, 1 failed, 2 skipped\n")


def test_a_server_that_cannot_start_is_unavailable_with_its_words(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with ExitStack() as running:
        process = servers.start(["/bin/sh", "-c", "echo no disk; exit 1"], log, running)
        with pytest.raises(servers.Unavailable, match="Server did not start: no disk"):
            servers.wait_until(lambda: False, process, log, "Server")
