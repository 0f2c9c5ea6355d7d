"""Benchmarks: side by side with the peers, one table per run."""
