"""Run the command line as `python -m govpost.gateway.cli`."""

from govpost.gateway.cli import main

main()
