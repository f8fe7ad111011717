"""Writes modules of this package and all that they need of it into one file that stands by itself."""

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

PACKAGE = "lightning_gpt"


def flattened(module: str, head: str) -> str:
    """Joins a module's source and that of the modules it imports from this package, those needed first.

    Nothing is imported, only read. The imports of other packages come first, once each; docstrings stay.

    Args:
        module: its full name.
        head: the docstring of the file.
    """
    order: dict[str, ast.Module] = {}
    _add(module, order)
    imports: set[str] = set()
    bodies = []
    names: list[str] = []
    for name, tree in order.items():
        source, pieces = _source(name), []
        for node in tree.body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                if _own(node) is None:
                    imports.add(ast.unparse(node))
            elif not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # the module's docstring
                pieces.append(_text(source, node))
                names.extend(_defined(node))
        bodies.append(f"# {'-' * 100} {name.removeprefix(PACKAGE + '.')}\n\n\n" + "\n\n\n".join(pieces))
    assert len(set(names)) == len(names), "two modules give one name to two things"
    return "\n\n\n".join([f'"""{head}"""\n\n' + "\n".join(sorted(imports)), *bodies]) + "\n"


def _add(name: str, order: dict[str, ast.Module]) -> None:
    """Adds a module after all that it imports from this package."""
    tree = ast.parse(_source(name))
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom) and (needed := _own(node)) and needed not in order:
            _add(needed, order)
    order[name] = tree


def _own(node: ast.Import | ast.ImportFrom) -> str | None:
    """Returns the module of this package that a statement imports from."""
    own = isinstance(node, ast.ImportFrom) and node.module and node.module.startswith(PACKAGE)
    return node.module if own else None  # type: ignore[union-attr]  # which own says


def _source(name: str) -> str:
    spec = find_spec(name)
    assert spec is not None and spec.origin is not None, name
    return Path(spec.origin).read_text(encoding="utf-8")


def _text(source: str, node: ast.stmt) -> str:
    """Returns a statement as it is written, its decorators included."""
    decorators = getattr(node, "decorator_list", [])
    first = min([node.lineno, *(decorator.lineno for decorator in decorators)])
    return "\n".join(source.splitlines()[first - 1 : node.end_lineno])


def _defined(node: ast.stmt) -> Iterator[str]:
    """Yields the names that a statement at a module's top gives."""
    if isinstance(node, ast.ClassDef | ast.FunctionDef):
        yield node.name
    elif isinstance(node, ast.Assign):
        yield from (target.id for target in node.targets if isinstance(target, ast.Name))
