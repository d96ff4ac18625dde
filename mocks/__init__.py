"""Stand-ins that behave like the systems, faults included. Written from the contracts, not from the adapters."""
