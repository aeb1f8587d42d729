"""How things are said to people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from devices.phrases import both, plural, sentence, shortened


def test_a_count_agrees_with_its_noun() -> None:
    assert plural(1, "source") == "1 source"
    assert plural(2000, "entry", "entries") == "2,000 entries"


def test_names_stand_in_a_row() -> None:
    assert both(["Level"]) == "Level"
    assert both(["Level", "Flow"]) == "Level and Flow"
    assert both(["Level", "Flow", "Mood"]) == "Level, Flow and Mood"


def test_a_long_text_ends_after_a_word() -> None:
    assert shortened("Nothing is stored", 12) == "Nothing is …"
    assert shortened("Nothing is stored", 17) == "Nothing is stored"


@given(text=st.text(min_size=0, max_size=60), most=st.integers(3, 50))
def test_a_text_never_takes_more_than_it_may(text: str, most: int) -> None:
    said = shortened(text, most)
    assert len(said) <= most
    assert said == text or said.endswith(" …")


def test_what_a_program_said_is_one_sentence() -> None:
    assert sentence("database or disk is full") == "database or disk is full."
    assert sentence("refused\n\tIs it there?\n") == "refused Is it there?"
