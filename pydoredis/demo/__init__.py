"""What `pydoredis demo` runs: π as an R job and as a Python job, on a Redis and workers of its own."""
