"""A file kept in pieces of one size, each fetched when it is needed: a stream from any offset."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from typing import Any, BinaryIO


def cut(content: Iterable[bytes], size: int) -> Iterator[bytes]:
    """The content in pieces of exactly `size` bytes; the last one may be shorter."""
    waiting = b""
    for part in content:
        waiting += part
        while len(waiting) >= size:
            yield waiting[:size]
            waiting = waiting[size:]
    if waiting:
        yield waiting


def opened(length: int, size: int, piece: Callable[[int], bytes]) -> BinaryIO:
    """A seekable stream of `length` bytes over pieces as `cut` made them, one of them in memory."""
    return io.BufferedReader(_Pieces(length, size, piece), size)


class _Pieces(io.RawIOBase):
    """The stream below the buffer."""

    def __init__(self, length: int, size: int, piece: Callable[[int], bytes]) -> None:
        self._length, self._size, self._piece = length, size, piece
        self._at = 0
        self._number = -1
        self._data = b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        number, inside = divmod(self._at, self._size)
        if self._at >= self._length:
            return 0
        if number != self._number:
            self._data, self._number = self._piece(number), number
        data = self._data[inside : inside + len(buffer)]
        buffer[: len(data)] = data
        self._at += len(data)
        return len(data)
