"""Other operating systems, as our own code sees them from this one."""
