"""A lint for what runs in the harness and fails in Slicer's PythonQt.

``check(source, path)`` returns what was found.  Each rule is a function over the file's syntax
tree; ``rules.py`` and ``texts.py`` hold them.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from .facts import Facts
from .rules import RULES as CALLS
from .texts import RULES as TEXTS

Rule = Callable[[ast.AST, Facts], Iterator[tuple[ast.AST, str]]]
RULES: dict[str, Rule] = {**CALLS, **TEXTS}


@dataclass(frozen=True)
class Finding:
    """One thing that Slicer would refuse."""

    path: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.message}"


def check(
    source: str, path: str = "<text>", own_names: frozenset[str] = frozenset()
) -> list[Finding]:
    """Return the findings in a source text.

    Args:
        source: Python source.
        path: its name in the findings.
        own_names: functions that the project defines; calling them with keywords is fine.  A line
            with the comment ``# pythonqt: RULE`` is excused from that rule.
    """
    tree = ast.parse(source)
    facts = Facts.of(tree, own_names)
    lines = source.splitlines()
    found: list[Finding] = []
    for node in ast.walk(tree):
        for name, rule in RULES.items():
            for where, message in rule(node, facts):
                line = getattr(where, "lineno", 1)
                if f"# pythonqt: {name}" not in lines[line - 1]:
                    found.append(Finding(path, line, name, message))
    return sorted(found, key=lambda each: (each.line, each.rule))


def own_names(sources: list[str]) -> frozenset[str]:
    """Return the names of the functions and classes that the sources define."""
    return frozenset(
        node.name
        for source in sources
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
    )
