"""The worker's machine: one agent that talks to Redis, and executors that run users' code."""
