"""The suite that any adapter can be held to; it ships with the package."""
