"""What a check is: a name, a look, and where it is safe a fix; and how all of them are gone through.

Nothing here changes anything or disturbs a running agent; fixes are made only when they are asked for.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

from edge.doctor.patient import Patient
from edge.errors import EdgeError


class Grade(StrEnum):
    """How a check ended."""

    WELL = "ok"
    NOTE = "note"  # nothing is broken, but somebody should know, or the machine cannot tell
    ILL = "PROBLEM"


class FixError(EdgeError):
    """A fix could not be made; the message says why and what to do by hand."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look found."""

    grade: Grade
    says: str  # one sentence
    can_be_fixed: bool = False  # by the check's own fix


def well(says: str) -> Finding:
    """All is as it should be."""
    return Finding(Grade.WELL, says)


def note(says: str, *, can_be_fixed: bool = False) -> Finding:
    """Worth knowing; no reason to fail."""
    return Finding(Grade.NOTE, says, can_be_fixed)


def ill(says: str, *, can_be_fixed: bool = False) -> Finding:
    """Something is wrong; the sentence says what to do."""
    return Finding(Grade.ILL, says, can_be_fixed)


Look = Callable[[Patient], Finding | None]  # None: there is nothing to look at on this device
Fix = Callable[[Patient], str]  # says what was done, as a sentence without a full stop; raises FixError


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that could be wrong."""

    name: str  # at most nine letters
    look: Look
    fix: Fix | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended, after its fix if one was made."""

    name: str
    finding: Finding
    did: str | None = None  # what a fix changed
    failed: str | None = None  # why a fix could not be made

    @property
    def is_well(self) -> bool:
        """Whether nothing is wrong any more."""
        return self.finding.grade is not Grade.ILL


def examine(patient: Patient, checks: Sequence[Check], *, with_fixes: bool = False) -> Iterator[Outcome]:
    """Go through ``checks`` in their order; with fixes, mend what is safe to mend and look again."""
    for check in checks:
        finding = check.look(patient)
        if finding is None:
            continue
        if with_fixes and finding.can_be_fixed and check.fix is not None:
            yield _mended(patient, check, finding)
        else:
            yield Outcome(check.name, finding)


def _mended(patient: Patient, check: Check, finding: Finding) -> Outcome:
    if check.fix is None:
        return Outcome(check.name, finding)
    try:
        did = check.fix(patient)
    except FixError as error:
        return Outcome(check.name, finding, failed=str(error))
    patient.look_anew()
    return Outcome(check.name, check.look(patient) or finding, did=did)
