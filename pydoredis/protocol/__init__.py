"""The wire without I/O: names of keys, messages, and messages as bytes.

Nothing here opens a socket or reads a clock; times and names come in as arguments.
"""
