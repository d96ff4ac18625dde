"""`python -m benchmarks [name …] [--quick]`."""

import logging
from collections.abc import Callable
from typing import Annotated

import typer

from benchmarks.backlog import backlog, restart
from benchmarks.batches import batches
from benchmarks.codecs import codecs
from benchmarks.end_to_end import end_to_end
from benchmarks.intake import intake
from benchmarks.report import Figure, show
from benchmarks.sm2 import sm2
from govpost.gateway.log import configure_logging

BENCHMARKS: dict[str, Callable[..., list[Figure]]] = {
    "intake": intake,
    "end_to_end": end_to_end,
    "backlog": backlog,
    "restart": restart,
    "batches": batches,
    "codecs": codecs,
    "sm2": sm2,
}


def main(
    names: Annotated[list[str] | None, typer.Argument(help=f"Which: {', '.join(BENCHMARKS)}. None: all.")] = None,
    *,
    quick: Annotated[bool, typer.Option(help="Small numbers, to see that it runs; says nothing of speed.")] = False,
) -> None:
    """Measure, and print a table and a JSON line for each benchmark."""
    configure_logging(json=True, level=logging.ERROR)
    for name in names or list(BENCHMARKS):
        if name not in BENCHMARKS:
            raise typer.BadParameter(f"{name} is none of {', '.join(BENCHMARKS)}")
        show(name, BENCHMARKS[name](is_quick=quick))


if __name__ == "__main__":
    typer.run(main)
