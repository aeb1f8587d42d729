"""However the site ends, nothing of it is left running."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from telemetry_site.tests.whole_site import FRAME, PROJECT, Site, wait_for

pytestmark = pytest.mark.timeout(300)


def test_a_process_that_keeps_dying_stops_all_with_its_name(site: Site) -> None:
    site.start()
    assert site.process is not None
    for times in ("1st", "2nd", "3rd", "4th"):
        os.kill(site.main_process("worker"), signal.SIGKILL)
        site.wait_to_read(f"worker ended (signal 9); started again, {times} time")
    os.kill(site.main_process("worker"), signal.SIGKILL)
    assert site.process.wait(60) == 1
    last = site.sentence().split("The site stopped.")[-1]
    assert "worker ended 5 times within 60 s (the last time: signal 9), so everything" in last
    assert site.processes() == {}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs Linux' parent-death signal")
def test_even_a_killed_start_leaves_nothing_behind(site: Site) -> None:
    site.start()
    assert site.process is not None
    site.process.kill()
    site.process.wait()
    wait_for(lambda: site.processes() == {}, 30)


def test_closing_the_terminal_stops_all(site: Site) -> None:
    reader, terminal = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "telemetry_site.start"],
        cwd=PROJECT,
        env=site.environment,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    site.process = process
    os.close(terminal)
    shown = b""
    while FRAME.encode() not in shown:
        shown += os.read(reader, 4096) or pytest.fail(shown.decode())
    os.close(reader)
    assert site.stop(signal.SIGHUP) == 0
    assert site.processes() == {}
