"""The documents say what is so: variables, paths, links, commands and names are compared."""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ingestion.api import IngestionStatusSerializer
from ingestion.observe import edges
from ingestion.observe.status import Code, Status
from telemetry_site.start import configuration

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
DOCUMENTS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]


def chapter(title: str) -> str:
    """A chapter of the README."""
    found = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", README, re.M | re.S)
    assert found, title
    return found[1]


def rows(text: str) -> list[list[str]]:
    """The cells of a table, without its head."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def quoted(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


# --- configuration ------------------------------------------------------------------------------

RECORD = """
import os, environ
asked = set()
class Recorder(dict):
    def __getitem__(self, name):
        asked.add(name)
        return super().__getitem__(name)
    def __contains__(self, name):
        asked.add(name)
        return super().__contains__(name)
environ.Env.ENVIRON = Recorder(os.environ)
import telemetry_site.settings
print(" ".join(sorted(asked)))
"""


class Recorder(dict[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        self.asked.add(name)
        return default


def settings_under(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Load the settings in a bare environment, beside the keys."""
    keys = {"SECRET_KEY": "x" * 50, "FIELD_ENCRYPTION_KEY": os.environ["FIELD_ENCRYPTION_KEY"]}
    bare = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env={**bare, **keys, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def variables(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """Every variable that settings and start really ask for."""
    said = settings_under(RECORD, DATA_DIR=str(tmp_path_factory.mktemp("data")))
    assert not said.returncode, said.stderr
    recorder = Recorder()
    configuration.read(recorder)
    return set(said.stdout.split()) | recorder.asked


def test_further_host_names_are_added_and_a_star_is_refused(tmp_path: Path) -> None:
    """As the table says: «More host names … Never `*`», which would open the sockets to all."""
    program = "import telemetry_site.settings as s; print(*s.ALLOWED_HOSTS)"
    given = {"DATA_DIR": str(tmp_path), "SITE_URL": "https://water.example"}
    said = settings_under(program, **given, ALLOWED_HOSTS="pump.example")
    assert set(said.stdout.split()) >= {"water.example", "pump.example"}
    refused = settings_under(program, **given, ALLOWED_HOSTS="water.example,*")
    assert refused.returncode
    assert "ALLOWED_HOSTS" in refused.stderr.splitlines()[-1]


def test_the_readme_lists_exactly_the_variables_that_are_read(variables: set[str]) -> None:
    listed = [name for row in rows(chapter("Configuration")) for name in quoted(row[0])]
    assert len(listed) == len(set(listed))
    assert set(listed) == variables


def test_the_example_lists_exactly_the_variables_that_are_read(variables: set[str]) -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert set(re.findall(r"^#?([A-Z][A-Z_]+)=", example, re.M)) == variables


def test_the_example_changes_nothing_when_it_is_copied() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    assert all(line.startswith("#") or not line for line in example.splitlines())


def test_the_skins_have_one_name_in_all_documents() -> None:
    example = (ROOT / ".env.example").read_text(encoding="utf-8")
    row = next(row for row in rows(chapter("Configuration")) if "ADMIN_SKIN" in row[0])
    other = quoted(row[2])[0]
    assert f"`{other}`" in example


# --- paths and links ----------------------------------------------------------------------------


def test_every_path_under_where_things_live_exists() -> None:
    table = rows(chapter("Where things live"))
    assert table
    for place, what in table:
        folders = quoted(place)
        assert folders, place
        for name in folders:
            assert (ROOT / name).is_dir(), name
        for name in (one for one in quoted(what) if one.endswith("/")):
            assert any((base / name).is_dir() for base in (ROOT, ROOT / folders[0])), name


def test_every_package_is_in_the_table() -> None:
    named = {
        name.rstrip("/") for row in rows(chapter("Where things live")) for name in quoted(row[0])
    }
    packages = {one.parent.name for one in ROOT.glob("*/__init__.py")} - {"scripts"}
    assert packages <= named


def links() -> Iterator[tuple[Path, str]]:
    for document in DOCUMENTS:
        text = re.sub(r"```.*?```", "", document.read_text(encoding="utf-8"), flags=re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if "://" not in target and not target.startswith(("#", "mailto:")):
                yield document, target


@pytest.mark.parametrize(
    ("document", "target"), list(links()), ids=lambda one: str(one).rsplit("/")[-1]
)
def test_every_link_leads_somewhere(document: Path, target: str) -> None:
    path, _, anchor = target.partition("#")
    found = document.parent / path
    assert found.exists(), f"{document.relative_to(ROOT)}: {target}"
    if anchor:
        headings = re.findall(r"^#+ (.+)$", found.read_text(encoding="utf-8"), re.M)
        assert anchor in {
            re.sub(r"[^\w\- ]", "", one.lower()).replace(" ", "-") for one in headings
        }


FILES = re.compile(r"`((?:docs|devices|ingestion|realtime|telemetry_site|simulator|static|templates"
                   r"|tests|benchmarks|scripts)/[\w./-]*)`")  # fmt: skip


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda one: one.name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    for name in FILES.findall(document.read_text(encoding="utf-8")):
        matches = [ROOT / name, *ROOT.glob(f"{name}*")]  # a decision is named by its number
        assert any(one.exists() for one in matches), name


# --- commands and names -------------------------------------------------------------------------


def test_make_help_lists_every_target_that_the_readme_names() -> None:
    helped = subprocess.run(
        ["make", "--no-print-directory", "help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    listed = set(re.findall(r"^  make ([a-z-]+)\s+\S", helped, re.M))
    named = set(re.findall(r"(?:^|`)(?:[A-Z]+=\S+ )?make ([a-z-]+)", README, re.M)) - {"help"}
    sentence = re.search(r"`make help` lists the other commands: ([^.]+)\.", README)
    assert sentence
    named |= set(quoted(sentence[1]))
    assert named >= {"run", "test", "check"}
    assert named <= listed
    assert "make test" in helped


NAMES = re.compile(r"\b(?:devices|ingestion|realtime|telemetry_site)(?:\.\w+)+")


@pytest.mark.parametrize("document", [ROOT / "docs" / "architecture.md"], ids=["architecture"])
def test_every_module_and_function_of_the_architecture_exists(document: Path) -> None:
    names = set(NAMES.findall(document.read_text(encoding="utf-8")))
    assert len(names) > 10
    for name in sorted(names):
        assert resolves(name), name


def resolves(name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    parts = name.split(".")
    for length in range(len(parts), 0, -1):
        try:
            found: Any = importlib.import_module(".".join(parts[:length]))
        except ModuleNotFoundError:
            continue
        for part in parts[length:]:
            found = getattr(found, part, None)
        return found is not None
    return False


def test_the_second_way_to_start_is_the_first_one_without_make() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert "-m telemetry_site.start" in README
    assert "-m telemetry_site.start" in makefile
    assert "requirements.txt" in README


def test_every_field_and_code_of_the_ingestion_status_is_documented() -> None:
    document = (ROOT / "docs" / "ingestion-status.md").read_text(encoding="utf-8")
    named = set(quoted(document))
    fields = set(IngestionStatusSerializer().get_fields())
    assert fields <= named, fields - named
    assert {code.value for code in Code} | {status.value for status in Status} <= named
    assert {one for pair in edges._NAMES.values() for one in pair} <= {
        name.split(":")[0] for name in named
    }
