"""How DuckDB is told to write a Parquet file: its COPY takes no parameters. Pure."""

from __future__ import annotations

from collections.abc import Mapping


def literal(text: str) -> str:
    """Text as DuckDB writes it."""
    return "'" + text.replace("'", "''") + "'"


def struct(pairs: Mapping[str, str]) -> str:
    """Names and texts as DuckDB writes them together."""
    return "{" + ", ".join(f"{literal(k)}: {literal(v)}" for k, v in pairs.items()) + "}"


def options(facts: Mapping[str, str]) -> str:
    """What follows COPY … TO a file: compressed, with facts in the file's own metadata.

    The second version of the format keeps times as differences: a third smaller, faster to read.
    """
    return f"(FORMAT parquet, PARQUET_VERSION v2, COMPRESSION zstd, KV_METADATA {struct(facts)})"
