"""``med2e3 doctor``: what this computer can run, as a text to copy, with nothing personal in it.

Knows how the findings are printed; how they are found is in :mod:`med2e3.cli.findings`.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer

from med2e3.cli.findings import Findings, look


def doctor(
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of text.")] = False,
) -> None:
    """Show what this computer can run, without names or paths, to be copied into a question."""
    findings = look()
    if as_json:
        print(json.dumps(findings.to_dict(), indent=2))
        return
    for line in _lines(findings):
        print(line)


def _lines(findings: Findings) -> list[str]:
    width = max(len(name) for name, _ in findings.rows())
    return [f"{name.ljust(width)}  {value}" for name, value in findings.rows()]
