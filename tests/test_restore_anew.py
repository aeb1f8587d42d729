"""A backup comes back on a new machine as docs/backup.md says: keys, tables, rows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(200)

ROOT = Path(__file__).resolve().parent.parent
KEYS = {
    "secret.key": "of this test",
    "field_encryption.key": "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
}


def ran(directory: Path, *command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """A command with its data in `directory` and no keys but those that stand there."""
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        command,
        cwd=ROOT,
        env={**bare, "DATA_DIR": str(directory), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


def manage(directory: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return ran(directory, sys.executable, "manage.py", *arguments)


def test_the_documented_way_leads_to_a_restored_site(tmp_path: Path) -> None:
    first, second, safe = (tmp_path / name for name in ("first", "second", "safe"))
    for place in (first, safe):
        place.mkdir()
        for name, key in KEYS.items():
            (place / name).write_text(key)
    file = str(tmp_path / "site.zip")
    assert manage(first, "migrate", "-v0").returncode == 0
    assert manage(first, "backup", file).returncode == 0
    steps = (ROOT / "docs/backup.md").read_text().split("Into a new site")[1].split("```")[1]
    lines = [line for line in steps.splitlines()[1:] if line]

    early = manage(second, "migrate", "-v0")
    for line in lines:
        if "restore" in line:
            continue
        typed = line.replace("/safe/place", str(safe)).replace(".venv/bin/python", sys.executable)
        if "migrate" in typed:
            unready = manage(second, "restore", file)
        done = ran(second, "sh", "-c", typed)
        assert done.returncode == 0, done.stderr
    restored = manage(second, "restore", file)

    assert "No SECRET_KEY" in early.stderr
    assert unready.returncode != 0
    assert "Run `manage.py migrate` first" in unready.stderr
    assert restored.returncode == 0, restored.stderr
    assert "was restored" in restored.stdout
    assert (second / "field_encryption.key").stat().st_mode & 0o077 == 0
