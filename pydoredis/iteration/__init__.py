"""What a body has at hand while an iteration runs: its log, random numbers and global variables."""
