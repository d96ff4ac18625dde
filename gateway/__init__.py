"""The engine: ledger, relay, transport, ingress, settings, command line. It names no portal."""
