"""Translators, one folder a system; pure functions, no I/O."""
