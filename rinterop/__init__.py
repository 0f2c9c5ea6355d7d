"""R values in Python: R's serialization format, natively."""
