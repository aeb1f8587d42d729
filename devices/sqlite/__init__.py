"""Django's SQLite engine, whose writers take turns."""
