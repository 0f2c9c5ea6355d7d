"""Workers as a service of this machine, as doRedis's own installer makes them: a file says which."""
