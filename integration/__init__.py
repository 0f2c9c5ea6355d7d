"""Whole machines, as containers: Redis, R's doRedis, workers of ours; and what happens when one is lost."""
