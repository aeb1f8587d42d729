"""Figures: what the site promises, measured on this machine (`make bench NAME=page`)."""
