"""A system of the tests' own: it calls us, is polled and carries, and nobody is at home."""
