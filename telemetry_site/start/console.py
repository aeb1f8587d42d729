"""What a person sees while the site starts: one line a step, and a frame at the end."""

from __future__ import annotations

import os
import sys
import textwrap
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

WIDTH = 96
CLEAR_LINE = "\r\033[K"


class Screen:
    """Standard output; falls silent when its reader has gone, because stopping must still work."""

    def __init__(self) -> None:
        """Begin at the start of a line."""
        self._overwritable = False

    def overwrite(self, text: str) -> None:
        """On a terminal, show a line that whatever comes next replaces; elsewhere nothing."""
        if self.isatty():
            self.write(text)
            self._overwritable = True

    def write(self, text: str) -> None:
        """Show text at once."""
        if self._overwritable:
            text = f"{CLEAR_LINE}{text}"
            self._overwritable = False
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except OSError:  # the terminal was closed, or the other end of the pipe
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)

    def flush(self) -> None:
        """Nothing waits: `write` shows at once."""

    def isatty(self) -> bool:
        """Whether colours can be shown and lines overwritten."""
        return sys.stdout.isatty()


SCREEN = Screen()


class Problem(Exception):
    """The site cannot start; the message says why and what to do, without a traceback."""


class Step:
    """One step in progress: its outcome may be told in `detail`, its way in `progress`."""

    def __init__(self, title: str) -> None:
        """Begin the step called `title`."""
        self.title = title
        self.detail = ""
        self._began = time.perf_counter()

    def progress(self, text: str) -> None:
        """Show how far the step is; only where a line can be overwritten."""
        SCREEN.overwrite(f"  … {self.title} {text}")

    def line(self, mark: str, colour: int) -> str:
        """The finished line: mark, title, detail and the seconds it took."""
        seconds = time.perf_counter() - self._began
        detail = f" ({self.detail})" if self.detail else ""
        return f"  {paint(mark, colour)} {self.title}{detail}  {paint(f'{seconds:.1f} s', DIM)}\n"


GREEN, RED, DIM = 32, 31, 2


def paint(text: str, colour: int) -> str:
    """Colour `text` on a terminal, and nowhere else."""
    return f"\033[{colour}m{text}\033[0m" if SCREEN.isatty() else text


def say(text: str = "") -> None:
    """Write one line."""
    SCREEN.write(text + "\n")


@contextmanager
def step(title: str) -> Iterator[Step]:
    """Print the step with a tick and its duration when done, with a cross when it failed."""
    current = Step(title)
    current.progress("")
    try:
        yield current
    except BaseException:
        SCREEN.write(current.line("✗", RED))
        raise
    SCREEN.write(current.line("✓", GREEN))


def complain(problem: Exception, heading: str = "The site did not start.") -> None:
    """Print a problem, wrapped, under a heading that cannot be overlooked."""
    say()
    say(paint(heading, RED))
    for paragraph in str(problem).splitlines():
        say(textwrap.fill(paragraph, WIDTH, break_long_words=False, break_on_hyphens=False))


def frame(lines: Sequence[str]) -> None:
    """Print lines in a frame."""
    width = max(len(line) for line in lines)
    say("╭" + "─" * (width + 2) + "╮")
    for line in lines:
        say(f"│ {line.ljust(width)} │")
    say("╰" + "─" * (width + 2) + "╯")
