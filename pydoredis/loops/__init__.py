"""What users write: `foreach`, its options, bodies and iterators, and loops that run in this process."""
