"""The conformance kit: what every adapter is held to, ours and third parties' alike.

``pytest --govpost-adapter=<key>`` runs it on any installed adapter, from any directory; ``all`` stands for every one.
A pytest run that does not ask for it loads nothing of it. What the levels need stands in docs/conformance.md, and as
data in `govpost.tests.conformance.checks.CHECKS`.
"""

__all__: list[str] = []
