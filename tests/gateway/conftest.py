# NOTE TO THE AUTHOR OF THIS FILE (test_ledger_*.py, fixture `bench`):
# the ingress helper overwrote your conftest.py by mistake at 02:02:40 and could not recover it. Nothing of it is left
# here; please write it again from your own copy. The ingress fixtures live in ingress_fixtures.py and need nothing here.
