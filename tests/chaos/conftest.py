"""The site under attack for each proof, and the closing table of what was measured."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from scripts.postgresql import Server
from scripts.servers import Unavailable
from tests.chaos import figures
from tests.chaos.judge import Judge
from tests.chaos.kept import InPostgreSQL
from tests.chaos.site import Besieged

# It must survive being killed: what was committed is on disk.
CAREFUL = ("fsync=on", "synchronous_commit=on", "full_page_writes=on", "max_connections=60")

Besiege = Callable[..., Besieged]


def pytest_configure(config: pytest.Config) -> None:
    """Name the file of the figures before processes are started that write into it."""
    if figures.VARIABLE not in os.environ:
        directory = os.environ.get("TEST_REPORTS") or tempfile.gettempdir()
        os.environ[figures.VARIABLE] = str(Path(directory) / f"chaos-{os.getpid()}.jsonl")
    if not hasattr(config, "workerinput"):  # once, by whoever starts the others
        report = Path(os.environ[figures.VARIABLE])
        report.parent.mkdir(parents=True, exist_ok=True)
        report.unlink(missing_ok=True)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """The figures beside what is promised."""
    report = Path(os.environ[figures.VARIABLE])
    found = figures.read(report)
    if found:
        terminalreporter.section("what was measured")
        for line in figures.table(found):
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"one JSON object a line: {report}")


@pytest.fixture
def besiege(tmp_path: Path) -> Iterator[Besiege]:
    """Makes a site that polls a judge of the fleet that is named; all ends with the test."""
    with ExitStack() as running:

        def make(fleet: str, server: Server | None = None) -> Besieged:
            judge = running.enter_context(Judge(fleet))
            judge.control("journal", "POST", {"record_rows": True})
            database = None if server is None else InPostgreSQL(server.url)
            site = Besieged(tmp_path / "site", judge, database)
            running.callback(site.clear)
            return site

        (tmp_path / "site").mkdir()
        yield make


@pytest.fixture
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A PostgreSQL server of one's own, to be killed."""
    with ExitStack() as running, tempfile.TemporaryDirectory(prefix="chaos-") as directory:
        # The server may run as another user, who must be able to pass through.
        Path(directory).chmod(0o711)
        try:
            server = Server(Path(directory) / "postgresql", running, CAREFUL)
            server.start()
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield server


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """What the processes printed belongs to a failure."""
    report = yield
    if report.when == "call" and report.failed and "tmp_path" in getattr(item, "funcargs", {}):
        for log in sorted((item.funcargs["tmp_path"] / "site").glob("*.log")):  # type: ignore[attr-defined]
            report.sections.append((log.name, log.read_text(errors="replace")[-8000:]))
    return report
