"""What an examination comes to."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "unknown", "note", "ok"]
"""`error`: work is lost or in danger, or nothing works. `warning`: something is not as it should be, or will
not stay well. `unknown`: the server does not tell. `note`: good to know. `ok`: as it should be."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        check: Name of the check.
        severity: How bad it is.
        finding: What is so, in one sentence.
        advice: What to do; empty where there is nothing to do.
        queue: The queue that it is about; None if it is about the server or this machine.
    """

    check: str
    severity: Severity
    finding: str
    advice: str = ""
    queue: str | None = None


def has_errors(findings: Iterable[Finding]) -> bool:
    """Whether something is wrong that should not wait."""
    return any(finding.severity == "error" for finding in findings)


def counted(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
