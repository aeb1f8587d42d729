"""Rewrite `static/vendor/` from pinned packages of the npm registry.

    python scripts/vendor.py            fetch every pinned package anew and write the manifest
    python scripts/vendor.py --check    only re-hash what is there (no network)

To upgrade a library: change its version in `PACKAGES`, run the script, look at the pages, commit.
Needs `npm` on the path; no other part of the project does. The site itself never fetches anything
from elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import logging
import shutil
import subprocess
import sys
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

log = logging.getLogger("vendor")

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
MANIFEST = VENDOR / "manifest.json"


@dataclass(frozen=True)
class Package:
    """One pinned npm package: the folder it gets here, and those of its files that pages use."""

    folder: str
    npm_name: str
    version: str
    licence: str
    files: tuple[str, ...]
    why: str


PACKAGES = (
    Package(
        folder="uplot",
        npm_name="uplot",
        version="1.6.32",
        licence="MIT",
        files=("dist/uPlot.esm.js", "dist/uPlot.min.css", "LICENSE"),
        why="time-series charts: the only one that appends to 100,000 points within one frame",
    ),
    Package(
        folder="inter",
        npm_name="@fontsource-variable/inter",
        version="5.3.0",
        licence="OFL-1.1",
        files=("files/inter-latin-wght-normal.woff2", "LICENSE"),
        why="typeface with even-width figures, so that numbers do not jump while they change",
    ),
)


class FileEntry(TypedDict):
    """One file of the manifest: path below `static/vendor/`, path in the package, hash."""

    path: str
    source: str
    sha384: str


class PackageEntry(TypedDict):
    """One package of the manifest."""

    name: str
    npm_name: str
    version: str
    licence: str
    why: str
    files: list[FileEntry]


def sha384(path: Path) -> str:
    """Return the file's SHA-384 in the form of subresource integrity (`sha384-<base64>`)."""
    digest = hashlib.sha384(path.read_bytes()).digest()
    return "sha384-" + base64.b64encode(digest).decode("ascii")


def fetch(package: Package, into: Path) -> Path:
    """Download and unpack one package with `npm pack`; returns the unpacked folder."""
    npm = shutil.which("npm")
    if npm is None:
        raise SystemExit("npm is not installed: it is needed to fetch front-end libraries anew.")
    spec = f"{package.npm_name}@{package.version}"
    result = subprocess.run(  # noqa: S603 - fixed program, arguments are the pins above
        [npm, "pack", spec, "--json", "--ignore-scripts", "--pack-destination", str(into)],
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode != 0:
        raise SystemExit(f"npm could not fetch {spec}:\n{result.stderr.strip()}")
    archives = list(into.glob("*.tgz"))
    if len(archives) != 1:
        raise SystemExit(f"npm pack of {spec} left {len(archives)} archives, expected one.")
    with tarfile.open(archives[0]) as archive:
        archive.extractall(into, filter="data")
    return into / "package"


def declared_licence(unpacked: Path) -> str:
    """Return the licence that the package itself declares."""
    return str(json.loads((unpacked / "package.json").read_text())["license"])


def install(package: Package) -> PackageEntry:
    """Replace the package's folder by the pinned version; refuses a changed licence."""
    with tempfile.TemporaryDirectory() as folder:
        unpacked = fetch(package, Path(folder))
        licence = declared_licence(unpacked)
        if licence != package.licence:
            raise SystemExit(
                f"{package.npm_name} is now {licence}, not {package.licence}: decide first."
            )
        target = VENDOR / package.folder
        shutil.rmtree(target, ignore_errors=True)
        target = target / package.version
        target.mkdir(parents=True)
        files: list[FileEntry] = []
        for source in package.files:
            copy = target / Path(source).name
            shutil.copyfile(unpacked / source, copy)
            path = str(copy.relative_to(VENDOR))
            files.append(FileEntry(path=path, source=source, sha384=sha384(copy)))
    return PackageEntry(
        name=package.folder,
        npm_name=package.npm_name,
        version=package.version,
        licence=package.licence,
        why=package.why,
        files=files,
    )


def problems() -> list[str]:
    """Compare the folder with the manifest and the pins; returns one sentence per difference."""
    entries: list[PackageEntry] = json.loads(MANIFEST.read_text())["packages"]
    found: list[str] = []
    listed = {file["path"]: file["sha384"] for entry in entries for file in entry["files"]}
    present = {
        str(path.relative_to(VENDOR))
        for path in VENDOR.rglob("*")
        if path.is_file() and path != MANIFEST
    }
    found += [f"{path} is not in the manifest" for path in sorted(present - set(listed))]
    found += [f"{path} is missing" for path in sorted(set(listed) - present)]
    found += [
        f"{path} was changed by hand"
        for path in sorted(present & set(listed))
        if sha384(VENDOR / path) != listed[path]
    ]
    pinned = {(package.folder, package.version, package.licence) for package in PACKAGES}
    written = {(entry["name"], entry["version"], entry["licence"]) for entry in entries}
    if pinned != written:
        found.append("manifest.json does not list the pinned versions: run scripts/vendor.py")
    return found


def main() -> int:
    """Run the command line; 0 when the folder is as pinned."""
    parser = argparse.ArgumentParser(description="Rewrite static/vendor/ from pinned npm packages.")
    parser.add_argument("--check", action="store_true", help="only compare files with the manifest")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    if not options.check:
        VENDOR.mkdir(parents=True, exist_ok=True)
        entries = [install(package) for package in PACKAGES]
        MANIFEST.write_text(json.dumps({"packages": entries}, indent=2) + "\n")
    found = problems()
    for problem in found:
        log.error("%s", problem)
    if not found:
        log.info(
            "static/vendor is as pinned: %s", ", ".join(f"{p.folder} {p.version}" for p in PACKAGES)
        )
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
