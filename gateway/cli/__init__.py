"""The command line, `govpost`.

Each command lives in a module of its own and is imported only when it is the one asked for: the engine takes a second
to import, and neither `--help` nor a typing error should wait for it. Until then a command is its name and a line of
help. Other packages add commands through the entry-point group ``govpost.commands`` (name → a typer application);
one of those that cannot be loaded says so when it is called, and disturbs nothing else.
"""

import ast
import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from importlib.metadata import EntryPoint, entry_points, version
from importlib.util import find_spec
from types import ModuleType
from typing import Annotated, Any, NoReturn

import typer

from govpost.gateway.cli.exits import Exit, exit_codes

__all__ = ["COMMANDS", "GROUP", "main"]

GROUP = "govpost.commands"

#: Command → the module that holds it as `app`, and its line in the help.
COMMANDS = {
    "serve": ("govpost.gateway.cli.serve", "Take orders and deliver them, until told to stop."),
    "orders": ("govpost.gateway.cli.orders", "List orders and show one."),
    "explain": ("govpost.gateway.cli.explain", "Say where an order is, why it waits, and what is next."),
    "label": ("govpost.gateway.cli.label", "Make an order's e-waybill as a PDF to print."),
    "dead": ("govpost.gateway.cli.dead", "List dead deliveries; replay them or drop them."),
    "lanes": ("govpost.gateway.cli.lanes", "List lanes that wait; pause and resume one."),
    "destinations": ("govpost.gateway.cli.destinations", "List what we deliver to; pause and resume one."),
    "refused": ("govpost.gateway.cli.refused", "List what portals handed over and could not be taken."),
    "strays": ("govpost.gateway.cli.strays", "List events of items that no order is known for."),
    "reconcile": ("govpost.gateway.cli.reconcile", "Compare a day with a portal's or a backend's books."),
    "keys": ("govpost.gateway.cli.keys", "Make the ledger's key file, or add a new sealing key to it."),
    "check-config": ("govpost.gateway.cli.check_config", "Check the settings without starting anything."),
}

#: What importing a stranger's module usually fails with.
_LOAD_ERRORS = (ImportError, AttributeError, NameError, OSError, SyntaxError, TypeError, ValueError, RuntimeError)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run one command and exit with one of `Exit`."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    # No option of `govpost` itself takes a value, so the first word that is no option is the command.
    command = next((word for word in words if not word.startswith("-")), None)
    app = _build_app(command)
    run = _by_name("govpost.gateway.cli.failures").run if command in _known() else _run_plainly
    run(app, words)
    sys.exit(Exit.DONE)


def _run_plainly(app: typer.Typer, words: Sequence[str]) -> None:
    app(words, prog_name="govpost")


def _build_app(command: str | None) -> typer.Typer:
    app = _new_app(help="Carry mail orders between government portals and the post.", epilog=_epilog())
    app.callback()(_root)
    for name, (module, summary) in COMMANDS.items():
        if name == command:
            _attach(app, _by_name(module).app, name=name, summary=summary)
        else:
            app.command(name, help=summary)(_not_loaded)
    for point in _plugins():
        if point.name == command:
            _attach(app, _load_plugin(point), name=point.name, summary=None)
        else:
            app.command(point.name, help=_plugin_summary(point))(_not_loaded)
    return app


def _new_app(**facts: Any) -> typer.Typer:
    # Pretty tracebacks show local variables, and those may be somebody's address.
    return typer.Typer(
        add_completion=False,
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        **facts,
    )


def _epilog() -> str:
    # \b keeps the lines as they are.
    return f"\b\nExit codes:\n{exit_codes()}"


def _show_version(value: bool) -> None:  # noqa: FBT001 - typer passes an option's value so
    if value:
        typer.echo(f"govpost {version('govpost')}")
        raise typer.Exit


def _root(
    *,
    _: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Take the options of `govpost` itself."""


def _not_loaded() -> None:
    """Stand for a command that was not asked for."""


def _attach(app: typer.Typer, other: typer.Typer, *, name: str, summary: str | None) -> None:
    """Add an application as one command; one that holds a single command becomes that command, as typer does."""
    if len(other.registered_commands) == 1 and not other.registered_groups and not other.registered_callback:
        only = other.registered_commands[0]
        if only.callback is not None:
            app.command(name, help=summary or only.help)(only.callback)
            return
    app.add_typer(other, name=name, help=summary, no_args_is_help=other.info.invoke_without_command is not True)


def _known() -> frozenset[str]:
    return frozenset(COMMANDS) | {point.name for point in _plugins()}


def _plugins() -> list[EntryPoint]:
    """Find other packages' commands, sorted; ours win over another of the same name."""
    points = {point.name: point for point in entry_points(group=GROUP) if point.name not in COMMANDS}
    return [points[name] for name in sorted(points)]


def _load_plugin(point: EntryPoint) -> typer.Typer:
    try:
        loaded = point.load()
    except _LOAD_ERRORS as error:
        _give_up(point, type(error).__name__)
    if not isinstance(loaded, typer.Typer):
        _give_up(point, "it is not a typer application")
    return loaded


def _give_up(point: EntryPoint, reason: str) -> NoReturn:
    typer.echo(
        f"govpost: the command {point.name!r} of {_owner(point)} cannot be loaded ({reason}): reinstall or remove it",
        err=True,
    )
    sys.exit(Exit.NOT_DONE)


def _owner(point: EntryPoint) -> str:
    return point.dist.name if point.dist else point.module


def _plugin_summary(point: EntryPoint) -> str:
    """Take the first line of the module's docstring, without importing the module."""
    try:
        loader: Any = _find_unimported(point.module).loader
        source = loader.get_source(point.module)
        return (ast.get_docstring(ast.parse(source)) or f"Added by {_owner(point)}.").partition("\n")[0]
    except _LOAD_ERRORS:
        return f"Added by {_owner(point)}; it cannot be loaded."


def _find_unimported(module: str) -> ModuleSpec:
    """Find a module without importing its parents, as importlib's own look-up would."""
    top, *rest = module.split(".")
    spec, name = find_spec(top), top
    for part in rest:
        name = f"{name}.{part}"
        spec = PathFinder.find_spec(name, spec.submodule_search_locations if spec else ())
    if spec is None:
        raise ModuleNotFoundError(f"there is no module {module}", name=module)
    return spec


def _by_name(module: str) -> ModuleType:
    """Import a module when it is needed: see the top of this file."""
    return importlib.import_module(module)
