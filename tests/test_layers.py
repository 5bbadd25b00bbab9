"""Who may import whom (docs/architecture.md), and that there are no import loops."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1] / "moonraker_lite"

# Small modules at the top that everybody may use: they import nothing of the layers.
SHARED = {"errors", "tasks", "redaction", "events", "datapath", "logs", "logfile"}
ALLOWED = {
    "gcode_metadata": set(),
    "config": set(),
    "storage": set(),
    "klippy": set(),
    "marlin": {"config"},
    "api": set(),
    "component": set(),
    "registry": {"component", "config"},
    "components": {"api", "klippy", "storage", "config", "component", "gcode_metadata"},
    "transports": {"api", "klippy", "config"},
    "host": {"api", "klippy", "storage", "config", "component", "components", "transports", "registry"},
    "cli": {"host", "config", "gcode_metadata", "marlin", "transports", "registry", "components"},
    "__main__": {"cli"},
}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> set[str]:
    """Absolute names of what a module imports from the package, at any depth of the code."""
    name = module_name(path)
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            found.add(base)
            found.update(f"{base}.{alias.name}" for alias in node.names)
    return {imported for imported in found if imported == "moonraker_lite" or imported.startswith("moonraker_lite.")}


FILES = sorted(path for path in ROOT.rglob("*.py") if "__pycache__" not in path.parts)


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_imports_point_downward(path: Path) -> None:
    layer = module_name(path).split(".")[1] if "." in module_name(path) else "__init__"
    for imported in imports_of(path):
        target = imported.split(".")[1] if "." in imported else ""
        if target in ("", "__version__", layer) or target in SHARED:
            continue
        assert layer in ALLOWED, f"{layer} is shared by all and must import nothing of the layers, not {imported}"
        assert target in ALLOWED[layer], f"{layer} must not import {imported}"


def test_no_import_loops() -> None:
    names = {module_name(path): path for path in FILES}
    graph = {name: _top_level_targets(path, names) for name, path in names.items()}
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> None:
        assert name not in path, " -> ".join([*path[path.index(name) :], name])
        if name not in done:
            for target in graph[name]:
                visit(target, [*path, name])
            done.add(name)

    for name in graph:
        visit(name, [])


def _top_level_targets(path: Path, names: dict[str, Path]) -> set[str]:
    """Modules that are imported when this one is: not those inside functions. A package's own parts do not count as
    importing it back."""
    own = module_name(path)
    tree = ast.parse(path.read_text())
    tree.body = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    holder = path.with_name(path.name)
    found: set[str] = set()
    package = own if holder.name == "__init__.py" else own.rpartition(".")[0]
    for node in tree.body:
        if isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
        else:
            assert isinstance(node, ast.ImportFrom)
            base = node.module or ""
            if node.level:
                parent = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parent, base] if base else parent)
            inner = {f"{base}.{alias.name}" for alias in node.names} & names.keys()
            found.update(inner or {base})
    return {name for name in found if name in names and not own.startswith(f"{name}.") and name != own}
