"""Why something of a file is not taken: a closed set, and what to change. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

TEXT_LENGTH = 255


class Reason(StrEnum):
    """Reports count by it."""

    NO_ROW = "no_row"
    CUT_OFF = "cut_off"
    NO_TIME = "no_time"
    UNREADABLE_TIME = "unreadable_time"
    NO_ZONE = "no_zone"
    AMBIGUOUS_TIME = "ambiguous_time"
    NONEXISTENT_TIME = "nonexistent_time"
    WRONG_OFFSET = "wrong_offset"
    BEFORE_1970 = "before_1970"
    FUTURE_TIME = "future_time"
    BAD_ENTRY_NUMBER = "bad_entry_number"
    UNKNOWN_COLUMN = "unknown_column"
    REPEATED = "repeated"
    NOT_A_NUMBER = "not_a_number"
    NOT_FINITE = "not_finite"
    DECIMAL_COMMA = "decimal_comma"
    NOT_WHOLE = "not_whole"
    TOO_LARGE = "too_large"
    OUT_OF_RANGE = "out_of_range"
    NOT_ON_OFF = "not_on_off"
    NOT_A_TEXT = "not_a_text"
    TOO_LONG_TEXT = "too_long_text"
    UNREADABLE_TEXT = "unreadable_text"
    FORMULA_ERROR = "formula_error"


DETAILS = {
    Reason.NO_ROW: "This is no row of the table: it has more cells than the first line, or its "
    "quotation marks do not match. Put a text that holds separators or line breaks in quotation "
    "marks.",
    Reason.CUT_OFF: "The file ends in the middle of this row. Export it again; if the row is "
    "whole, put an empty line behind it.",
    Reason.NO_TIME: "The row has no time. Write one, or take the row out.",
    Reason.UNREADABLE_TIME: "The time is not written as the export writes it, such as "
    "2026-11-20T15:30:00+05:30. A spreadsheet may have rewritten it: set the cells' format to "
    "yyyy-mm-dd hh:mm:ss and save again, or export again.",
    Reason.NO_ZONE: "The time says no zone, and neither does the title of its column.",
    Reason.AMBIGUOUS_TIME: "This time happened twice in its zone, when clocks were set back. Keep "
    "the column UTC offset, or write the offset behind the time.",
    Reason.NONEXISTENT_TIME: "This time never happened in its zone: clocks were set forward over "
    "it. Probably it was written in another zone.",
    Reason.WRONG_OFFSET: "The offset beside the time cannot be read. It is written such as +05:30.",
    Reason.BEFORE_1970: "The time is before 1970, so it cannot be a measurement. Correct it, or "
    "take the row out.",
    Reason.FUTURE_TIME: "The time lies in the future, so it cannot be a measurement. Look at the "
    "year and the zone.",
    Reason.BAD_ENTRY_NUMBER: "The entry number is no whole number from 0 on. A spreadsheet may "
    "have rounded it: export again and keep the column as it is.",
    Reason.UNKNOWN_COLUMN: "The file's first line does not name all columns of this row. Add the "
    "missing one there, with its unit.",
    Reason.REPEATED: "An earlier row has the same time and entry number with another value. Take "
    "the wrong one of the two out of the file.",
    Reason.NOT_A_NUMBER: "This is not a plain number. Correct the cell, or clear it.",
    Reason.NOT_FINITE: "This is no number that could be measured. Clear the cell.",
    Reason.DECIMAL_COMMA: "The number has a decimal comma. Save the file with decimal points.",
    Reason.NOT_WHOLE: "The metric takes whole numbers only. Change its data type to keep "
    "fractions.",
    Reason.TOO_LARGE: "The number is too large to be kept exactly. Correct the cell, or clear it.",
    Reason.NOT_ON_OFF: "The metric is on or off: write true or false.",
    Reason.NOT_A_TEXT: "The metric takes texts, and the file has a number here: a spreadsheet may "
    "have changed 007 to 7. Set the cells' format to text.",
    Reason.TOO_LONG_TEXT: f"The text is longer than {TEXT_LENGTH} characters. Shorten it.",
    Reason.UNREADABLE_TEXT: "The text holds characters that cannot be stored. Save the file as "
    "UTF-8, or choose its encoding.",
    Reason.FORMULA_ERROR: "The spreadsheet shows an error here. Correct its formula, or clear the "
    "cell.",
}


class Refused(Exception):
    """Something of a row is not taken, and why."""

    def __init__(self, reason: Reason, detail: str = "") -> None:
        self.reason = reason
        self.detail = detail or DETAILS[reason]


@dataclass(frozen=True, slots=True)
class Refusal:
    """What is not taken: of which column (empty: the whole row), and what stood there."""

    reason: Reason
    detail: str
    column: str
    raw: str
