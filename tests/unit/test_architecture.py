"""What the design says of the tree, held over its syntax: who may import whom, and what is exported."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TREE = Path(__file__).parents[2]

#: folder -> the folders that it may import from, beside itself.
MAY_IMPORT = {
    "schemas": set(),
    "adapters": {"schemas"},
    "gateway": {"schemas", "adapters"},
    "mocks": {"schemas"},
    "tests/conformance": {"schemas", "adapters", "mocks"},
}

#: What adapters share; every other folder below adapters/ is one system's.
SHARED_BY_ADAPTERS = {"protocols"}

#: Where the engine may speak of one system, with the reason.
NAMES_AN_ADAPTER = {
    ("gateway/ingress/api.py", "webhook"): "/api/v1 is itself the webhook wire: backends send events to it",
}

MODULES = sorted(
    path.relative_to(TREE).as_posix()
    for folder in MAY_IMPORT
    for path in (TREE / folder).rglob("*.py")
    if "__pycache__" not in path.parts
)
SYSTEMS = sorted(
    path.parent.name
    for path in (TREE / "adapters").glob("*/manifest.toml")
    if path.parent.name not in SHARED_BY_ADAPTERS
)


def folder_of(module: str) -> str:
    """Name the folder of MAY_IMPORT that a module lies in."""
    return next(folder for folder in MAY_IMPORT if module.startswith(f"{folder}/"))


def parse(module: str) -> ast.Module:
    """Read a module's syntax."""
    return ast.parse((TREE / module).read_text(encoding="utf-8"), filename=module)


def imported(tree: ast.AST) -> Iterator[str]:
    """List the dotted names that a module imports, `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def ours(tree: ast.AST) -> Iterator[list[str]]:
    """List what a module imports of govpost, as the parts after that name."""
    for name in imported(tree):
        first, *rest = name.split(".")
        if first == "govpost":
            yield rest


def prose(tree: ast.AST) -> set[int]:
    """Find the docstrings, and other strings that stand alone, by the identity of their nodes."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def words(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """List every identifier, import and string of a module with its line, docstrings left out."""
    skipped = prose(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=word) | ast.Attribute(attr=word) | ast.arg(arg=word) | ast.keyword(arg=str(word)):
                yield getattr(node, "lineno", 0), word
            case ast.FunctionDef(name=word) | ast.AsyncFunctionDef(name=word) | ast.ClassDef(name=word):
                yield node.lineno, word
            case ast.alias(name=word):
                yield node.lineno, word
            case ast.ImportFrom(module=str(word)):
                yield node.lineno, word
            case ast.Constant(value=str(word)) if id(node) not in skipped:
                yield node.lineno, word


def exported(tree: ast.Module) -> list[str] | None:
    """Read `__all__`, or None where a module has none."""
    for node in tree.body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=value):
                return list(ast.literal_eval(value))
    return None


def bound(body: list[ast.stmt]) -> Iterator[str]:
    """List the names that statements bind at the top of a module."""
    for node in body:
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield name
            case ast.Assign(targets=targets):
                yield from (name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name))
            case ast.AnnAssign(target=ast.Name(id=name)):
                yield name
            case ast.Import(names=names) | ast.ImportFrom(names=names):
                yield from (alias.asname or alias.name.partition(".")[0] for alias in names)
            case ast.If(body=then, orelse=other):
                yield from bound(then)
                yield from bound(other)
            case ast.Try(body=tried, handlers=handlers):
                yield from bound(tried)
                for handler in handlers:
                    yield from bound(handler.body)


def defined(tree: ast.Module) -> set[str]:
    """List the names that a module itself defines as functions and classes."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    return {node.name for node in tree.body if isinstance(node, kinds)}


def as_path(dotted: str) -> str:
    """Turn a dotted name after govpost into the path of the module that it would be."""
    folder = TREE.joinpath(*dotted.split("."))
    return (folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")).relative_to(TREE).as_posix()


def taken() -> dict[str, set[str]]:
    """List, by module, the names that others import from it; its submodules are not among them."""
    names: dict[str, set[str]] = {module: set() for module in MODULES}
    for module in MODULES:
        for parts in ours(parse(module)):
            dotted, _, name = ".".join(parts).rpartition(".")
            if as_path(".".join(parts)) not in names and as_path(dotted) in names:
                names[as_path(dotted)].add(name)
    return names


TAKEN = taken()


def test_there_is_something_to_check() -> None:
    """The walk finds modules of every folder, and the systems."""
    assert {folder_of(module) for module in MODULES} == set(MAY_IMPORT)
    assert SYSTEMS


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_one_way(module: str) -> None:
    """A folder imports from those below it only; ours are always imported as govpost.…."""
    folder = folder_of(module)
    tree = parse(module)
    allowed = MAY_IMPORT[folder] | {folder.partition("/")[0]}

    assert [parts for parts in ours(tree) if not parts or parts[0] not in allowed] == []
    assert [name for name in imported(tree) if name.partition(".")[0] in {*MAY_IMPORT, "tests", "benchmarks"}] == []


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith("adapters/")])
def test_one_system_never_imports_another(module: str) -> None:
    """An adapter knows itself and what adapters share; what is shared knows no system."""
    itself = module.split("/")[1]
    others = set(SYSTEMS) - {itself}

    assert [parts for parts in ours(parse(module)) if parts[0] == "adapters" and others & set(parts[1:2])] == []


def _apart(word: str) -> str:
    """Write a name so that its parts can be told: `EmsItems` holds `ems`, `items` does not."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", word).lower()


@pytest.mark.parametrize("module", [module for module in MODULES if module.startswith(("gateway/", "schemas/"))])
def test_the_engine_names_no_system(module: str) -> None:
    """No identifier and no string of the engine or the vocabulary speaks of one portal or backend."""
    found = [
        (line, word)
        for line, word in words(parse(module))
        for key in SYSTEMS
        if re.search(rf"(?<![a-z]){key}(?![a-z])", _apart(word)) and (module, key) not in NAMES_AN_ADAPTER
    ]

    assert found == []


@pytest.mark.parametrize("module", MODULES)
def test_nothing_is_imported_inside_a_function(module: str) -> None:
    """Imports stand at the top, where a reader and a linter see them."""
    inside = [
        node.lineno
        for function in ast.walk(parse(module))
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]

    assert inside == []


@pytest.mark.parametrize("module", MODULES)
def test_a_public_module_says_what_it_exports(module: str) -> None:
    """`__all__` holds names that exist, and every name that another module of ours takes from this one."""
    tree = parse(module)
    names = exported(tree)
    if names is None:
        path = Path(module)
        is_private = path.stem.startswith("_") or "migrations" in path.parts
        assert is_private or not {name for name in defined(tree) if not name.startswith("_")}, "no __all__"
        return

    assert len(names) == len(set(names))
    assert [name for name in names if name not in bound(tree.body)] == []
    assert sorted(TAKEN[module] - set(names)) == []
