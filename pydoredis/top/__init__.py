"""`pydoredis top`: how a pool is doing, as tables for terminals (`grids`) and as a live view (`app`)."""
