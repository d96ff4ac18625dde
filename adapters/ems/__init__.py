"""EMS open platform for contract customers, a postal backend (contract: ems)."""
