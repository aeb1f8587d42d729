"""The last lines of a test run: totals, what was skipped and why, what this machine lacks."""

from __future__ import annotations

import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree


@dataclass
class Summary:
    """Totals over all of pytest's JUnit reports, and skipped tests with their reason."""

    passed: int = 0
    failed: int = 0
    skipped: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(module, reason) -> number of tests."""


def summary(directory: Path) -> Summary:
    """Read every report in a directory; reports of our own pytest, so their XML is trusted."""
    total = Summary()
    for file in sorted(directory.glob("*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):  # noqa: S314
            skipped = case.find("skipped")
            if case.find("failure") is not None or case.find("error") is not None:
                total.failed += 1
            elif skipped is not None:
                module = case.get("classname", "?")
                total.skipped[f"{file.stem}: {module}", skipped.get("message", "")] += 1
            else:
                total.passed += 1
    return total


def say(total: Summary, missing: list[str]) -> None:
    """Print the closing lines; nothing when no test ran and nothing is missing."""
    lines: list[str] = []
    if missing or total.skipped:
        lines += ["", "!" * 78, "!! NOT EVERYTHING WAS TESTED ON THIS MACHINE"]
        lines += [f"!! not available: {reason}" for reason in missing]
        lines += [
            f"!! skipped {count} in {place}: {reason}"
            for (place, reason), count in sorted(total.skipped.items())
        ]
        lines.append("!" * 78)
    if total.passed or total.failed:
        skipped = sum(total.skipped.values())
        lines += ["", f"tests: {total.passed} passed, {total.failed} failed, {skipped} skipped"]
    for line in lines:
        sys.stdout.write(line + "\n")
