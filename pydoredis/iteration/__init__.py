"""What a body has at hand while an iteration runs: its log and its random numbers."""
