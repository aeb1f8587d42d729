"""Tests of imports of exported readings."""
