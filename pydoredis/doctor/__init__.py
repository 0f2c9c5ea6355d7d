"""Examines a pool: the server, this machine, the queues; says what is wrong and what to do about it."""
