"""Tests of live updates, against a real Valkey and a real uvicorn."""
