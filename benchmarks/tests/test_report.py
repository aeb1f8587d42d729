"""Figures are printed as promised, and percentiles are measured values."""

from __future__ import annotations

import json

import pytest

from benchmarks.__main__ import main
from benchmarks.report import Figure, percentile


def test_a_figure_is_one_line_of_json() -> None:
    line = Figure("page", "overview: p95", 25.0, 100.0, "ms", 60).line()
    figure = json.loads(line)
    assert "\n" not in line
    assert figure["machine"]
    del figure["machine"]
    assert figure == {
        "name": "page",
        "what": "overview: p95",
        "ours": 25.0,
        "limit": 100.0,
        "unit": "ms",
        "samples": 60,
        "more_is_better": False,
        "at_least": 1.0,
        "ratio": 4.0,
    }


def test_more_of_a_rate_is_better() -> None:
    figure = Figure("poll", "polls", 1000.0, 4000.0, "1/s", 5, more_is_better=True, at_least=0.2)
    assert figure.ratio == 0.25


@pytest.mark.parametrize(("percent", "expected"), [(1, 1), (50, 10), (95, 19), (96, 20), (100, 20)])
def test_a_percentile_is_a_measured_value(percent: float, expected: float) -> None:
    values = [float(n) for n in range(20, 0, -1)]
    assert percentile(values, percent) == expected
    with pytest.raises(ValueError, match="nothing"):
        percentile([], percent)


def test_an_unknown_name_says_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weather"]) == 2
    assert "page" in capsys.readouterr().err


def test_without_redis_nothing_is_measured_and_it_says_why(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REDIS_URL", raising=False)
    monkeypatch.delenv("TEST_REDIS_URL", raising=False)
    assert main(["page"]) == 1
    answer = capsys.readouterr()
    assert answer.out == ""
    assert "make bench" in answer.err
