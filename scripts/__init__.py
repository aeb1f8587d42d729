"""Tools for people who work on the site; nothing here runs in production."""
