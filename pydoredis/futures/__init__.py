"""Calls on a queue's workers through the interface of `concurrent.futures`."""
