"""Pickles: what cloudpickle leaves out, what cannot be pickled, exceptions."""
