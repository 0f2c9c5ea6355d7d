"""Benchmarks: side by side with the peers, one table per run."""

NOT_INSTALLED = "not installed: pip install -e '.[bench]'"
"""What stands for a peer that is not here."""
