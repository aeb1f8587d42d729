"""Readings that were dropped by age, in Parquet files: how they get there and how they are read.

`running` writes months and enters them in the catalogue (`models.archived`), `writing` makes one
file and proves it, `reading` answers from files, `duck` and `files` know DuckDB and the directory.
"""
