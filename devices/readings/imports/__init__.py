"""Bringing readings back in from files that the site itself exported."""
