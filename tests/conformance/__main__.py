"""`python -m govpost.tests.conformance`: run the kit on our adapters, and write down what came of it."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from govpost.tests.conformance import matrix as tables
from govpost.tests.conformance.report import run
from govpost.tests.conformance.subject import load_subject

__all__ = ["app"]

app = typer.Typer(name="govpost.tests.conformance", no_args_is_help=True, add_completion=False)


@app.command()
def matrix(
    *,
    write: Annotated[
        bool, typer.Option("--write", help="Put it into the README, and the levels beside the docs.")
    ] = False,
    readme: Annotated[Path, typer.Option(help="Has the markers `capabilities`.")] = Path("README.md"),
    levels: Annotated[Path, typer.Option(help="What the kit found, for the test of the README.")] = Path(
        "docs/levels.json"
    ),
) -> None:
    """Run the kit on our adapters and print the table of what each can do; exit 1 where one fails a check."""
    subjects = [load_subject(key) for key in tables.our_keys()]
    reports = [run(subject) for subject in subjects]
    standings = {report.key: tables.standing(report) for report in reports}
    table = tables.capabilities(subjects, standings)
    if write:
        _rewrite(readme, "capabilities", table)
        document = {key: asdict(found) for key, found in standings.items()}
        levels.write_text(json.dumps(document, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    else:
        typer.echo(table, nl=False)
    for report in reports:
        typer.echo("\n".join(report.lines()), err=True)
    raise typer.Exit(0 if all(report.is_sound for report in reports) else 1)


@app.command()
def checks(
    *,
    write: Annotated[bool, typer.Option("--write", help="Put it into the docs.")] = False,
    docs: Annotated[Path, typer.Option(help="Has the markers `checks`.")] = Path("docs/conformance.md"),
) -> None:
    """Print the table of all checks."""
    if write:
        _rewrite(docs, "checks", tables.checks())
    else:
        typer.echo(tables.checks(), nl=False)


def _rewrite(file: Path, name: str, block: str) -> None:
    file.write_text(tables.between_markers(file.read_text("utf-8"), name, block), encoding="utf-8")


if __name__ == "__main__":
    app()
