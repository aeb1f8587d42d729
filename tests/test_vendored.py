"""The vendored front-end libraries are the pinned ones, unchanged, with a licence we may ship."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

ROOT = Path(__file__).resolve().parent.parent
VENDOR = ROOT / "static" / "vendor"
ALLOWED = {"MIT", "BSD-2-Clause", "BSD-3-Clause", "0BSD", "ISC", "Apache-2.0", "OFL-1.1"}
MARKS = {"MIT": "MIT License", "OFL-1.1": "SIL Open Font License"}


def load_script() -> Any:
    """Import scripts/vendor.py, which is a script and no package."""
    spec = importlib.util.spec_from_file_location("vendor_script", ROOT / "scripts" / "vendor.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    return module


def test_files_are_exactly_the_pinned_ones() -> None:
    assert load_script().problems() == []


def test_a_changed_a_missing_and_an_extra_file_are_noticed(tmp_path: Path) -> None:
    script = load_script()
    copy = tmp_path / "vendor"
    shutil.copytree(VENDOR, copy)
    script.VENDOR, script.MANIFEST = copy, copy / "manifest.json"
    stylesheet = next(copy.rglob("uPlot.min.css"))
    stylesheet.write_text(stylesheet.read_text() + "/* patched */")
    next(copy.rglob("*.woff2")).unlink()
    (copy / "stray.js").write_text("")
    assert [problem.split(" ", 1)[1] for problem in script.problems()] == [
        "is not in the manifest",
        "is missing",
        "was changed by hand",
    ]


def test_every_library_ships_its_licence_and_we_may_use_it() -> None:
    packages = json.loads((VENDOR / "manifest.json").read_text())["packages"]
    assert packages
    for package in packages:
        assert package["licence"] in ALLOWED
        texts = [file["path"] for file in package["files"] if file["path"].endswith("LICENSE")]
        assert len(texts) == 1, f"{package['name']} has no licence text"
        assert MARKS[package["licence"]] in (VENDOR / texts[0]).read_text()


@pytest.mark.parametrize(
    "path",
    [
        *sorted((ROOT / "static" / "js").rglob("*.js")),
        *sorted((ROOT / "static" / "css").rglob("*.css")),
        *sorted((ROOT / "templates").rglob("*.html")),
    ],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_own_pages_ask_no_other_host_and_carry_nothing_inline(path: Path) -> None:
    """What the strict Content-Security-Policy would block never gets into the sources."""
    text = path.read_text()
    assert not re.search(r"(?:src|href|url|from|import)\s*[=(]?\s*[\"']?(?:https?:)?//", text)
    if path.suffix == ".html":
        assert not re.search(r"<style|\sstyle=|\son[a-z]+=", text)
        for tag in re.findall(r"<script[^>]*>", text):
            assert "src=" in tag or 'type="application/json"' in tag


def test_references_to_vendored_files_exist() -> None:
    """A page or module that names a vendored file names one that is there."""
    sources = [
        path
        for folder in ("static/js", "static/css", "templates")
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
    ]
    named = {
        match
        for path in sources
        for match in re.findall(r"vendor/([\w./-]+\.\w+)", path.read_text())
    }
    assert named
    assert [name for name in sorted(named) if not (VENDOR / name).is_file()] == []


def test_pictures_are_well_formed_and_those_that_pages_name_exist() -> None:
    """A stray character makes a browser drop the whole sprite, silently."""
    pictures = ROOT / "static" / "img"
    for path in pictures.glob("*.svg"):
        ElementTree.parse(path)  # noqa: S314 - our own file
    sprite = ElementTree.parse(pictures / "icons.svg")  # noqa: S314 - our own file
    present = {element.get("id") for element in sprite.iter() if element.get("id")}
    pages = "".join(path.read_text() for path in (ROOT / "templates").rglob("*.html"))
    named = set(re.findall(r"#?\b((?:i|pic)-[a-z_]+)\b", pages))
    assert named
    assert named - present == set()
