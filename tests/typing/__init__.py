"""Programs for type checkers, and the test that has them checked."""
