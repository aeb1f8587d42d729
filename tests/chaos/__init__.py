"""Proof of ingestion's promises: real processes, killed and starved, judged by the simulator."""
