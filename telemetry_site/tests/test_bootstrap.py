"""What a machine without a fitting Python is told by `make run`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent.parent


class Machine:
    """A project directory and a PATH that holds one Python of our making and the usual tools."""

    def __init__(self, directory: Path) -> None:
        self.project = directory / "a project"
        (self.project / "scripts").mkdir(parents=True)
        (self.project / "requirements.txt").touch()
        shutil.copy(PROJECT / "scripts" / "bootstrap.sh", self.project / "scripts")
        self.tools = directory / "bin"
        self.tools.mkdir()
        for name in ("sh", "dirname", "cmp", "cp"):
            (self.tools / name).symlink_to(shutil.which(name) or name)

    def install_python(self, script: str) -> None:
        file = self.tools / "python3"
        file.write_text(f"#!/bin/sh\n{script}\n")
        file.chmod(0o755)

    def bootstrap(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "scripts/bootstrap.sh", "requirements.txt"],
            cwd=self.project,
            env={"PATH": str(self.tools), "HOME": os.environ.get("HOME", "/")},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


def test_no_python_at_all(machine: Machine) -> None:
    done = machine.bootstrap()
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; found: no Python" in done.stderr
    assert "apt-get install python3" in done.stderr


def test_python_that_is_too_old(machine: Machine) -> None:
    machine.install_python('test "$1" = --version && echo "Python 3.9.2"')
    done = machine.bootstrap()
    assert done.returncode == 1
    assert "needs Python 3.11 or newer; found: Python 3.9.2" in done.stderr


def test_python_without_venv(machine: Machine) -> None:
    # Debian ships Python and its venv module apart.
    machine.install_python(f'case "$2" in *ensurepip*) exit 1;; esac; exec {sys.executable} "$@"')
    done = machine.bootstrap()
    assert done.returncode == 1
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    assert f"sudo apt-get install python{version}-venv" in done.stderr
    assert not (machine.project / ".venv").exists()


@pytest.mark.timeout(300)  # two virtual environments
def test_requirements_are_installed_once(machine: Machine) -> None:
    machine.install_python(f'exec {sys.executable} "$@"')
    first = machine.bootstrap()
    assert first.returncode == 0, first.stderr
    assert "Making .venv with Python" in first.stdout
    second = machine.bootstrap()
    assert (second.returncode, second.stdout) == (0, "")
    # A half-made environment is made again rather than trusted.
    shutil.rmtree(machine.project / ".venv" / "bin")
    assert "Making .venv" in machine.bootstrap().stdout
