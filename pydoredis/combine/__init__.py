"""Many values become one, in the order and with the group sizes of foreach."""
