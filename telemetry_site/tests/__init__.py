"""Tests of composition and start."""
