"""A Chromium for browser tests: the one that is there, else Debian's where root may install it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.servers import Unavailable

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MAC = Path("/Applications/Google Chrome.app/Contents/MacOS/Google Chrome")


def find_or_install() -> str:
    """Path of the browser; raises Unavailable."""
    found = _find()
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _install()
        found = _find()
    if found is None:
        raise Unavailable(
            "Chromium: not installed, and only root may install it "
            "(Debian: apt-get install chromium)"
        )
    return found


def _find() -> str | None:
    for name in NAMES:
        path = shutil.which(name)
        if path:
            return path
    return str(MAC) if MAC.exists() else None


def _install() -> None:
    sys.stdout.write("Installing Debian's Chromium for the browser tests: this takes a minute\n")
    sys.stdout.flush()
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", "chromium"]):
        done = subprocess.run(  # noqa: S603
            ["apt-get", "-qq", *arguments],  # noqa: S607  # where it lies is the system's affair
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            check=False,
        )
        if done.returncode:
            raise Unavailable(f"Chromium: apt-get {arguments[0]} failed; its words are above")
