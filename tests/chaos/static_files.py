"""Collected static files, kept from one site of a test to the next: collecting takes ten seconds.

A site looks at their fingerprint itself and collects anew what has changed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path


def _kept() -> Path:
    return Path(tempfile.gettempdir()) / f"telemetry-static-{os.getuid()}"


def borrow_static_files(data_dir: Path) -> None:
    """Give a site that was never started what another one collected."""
    if not (_kept() / "static.fingerprint").is_file():
        return
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copytree(_kept() / "static", data_dir / "static")
    shutil.copy2(_kept() / "static.fingerprint", data_dir)


def lend_static_files(data_dir: Path) -> None:
    """Keep what a site collected, unless it was borrowed."""
    fingerprint = (data_dir / "static.fingerprint").read_text()
    known = _kept() / "static.fingerprint"
    if known.is_file() and known.read_text() == fingerprint:
        return
    part = Path(tempfile.mkdtemp(prefix="telemetry-static-"))
    shutil.copytree(data_dir / "static", part / "static")
    shutil.copy2(data_dir / "static.fingerprint", part)
    shutil.rmtree(_kept(), ignore_errors=True)
    # Another test may have been quicker.
    with suppress(OSError):
        part.rename(_kept())
