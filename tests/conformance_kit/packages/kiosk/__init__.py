"""A portal that is asked for orders and told in batches: invented, to try the conformance kit on."""
