"""A backend that takes orders and pushes what happens to them: invented, to try the conformance kit on."""
