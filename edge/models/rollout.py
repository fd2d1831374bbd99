r"""Which model runs: one frozen state, and one pure function for each thing that can happen.

    offered -> (download) -> fetched -> (trial) -> trial_passed -> on probation -> probation_passed
                                   \-> trial_failed        \-> crashed too often, failed or slow: back to the previous

The state is all that is durable (models/state.json, written whole or not at all), so a power cut between any two steps
finds the model that ran before it or the one that runs after it. A model is *known good* once its probation is over.
Rules, each tested in tests/unit/test_model_rollout.py:

* a manifest that failed is remembered by its digest and never tried again, unless the owner adds it by hand;
* nothing is tried while another model is on probation: there must always be a known good one to go back to;
* the floor of a model's name rises to a newer version's ``rollback_index`` only when its probation is over. Were it
  raised at the switch, a newer version that crashes could not be left again; were it never raised, whoever can repeat
  an old, properly signed offer could bring an old weakness back.
"""

from typing import Final, Literal

import msgspec
from msgspec import Struct

from edge.models.errors import ModelError

CRASHES_MAX: Final = 3  # on probation; the third sends it back
TRIALS_MAX: Final = 3  # begun and never ended: the trial takes the machine down with it
SLOW_REPORTS_MAX: Final = 5  # in a row
_BAD_KEPT: Final = 64


class Ref(Struct, frozen=True, forbid_unknown_fields=True):
    """One version in the store."""

    name: str
    digest: str  # SHA-256 of its manifest, hex: what publishers sign
    index: int  # its rollback_index
    is_own: bool = False  # signed by this very device: the owner's word, which no floor binds


class Probation(Struct, frozen=True, forbid_unknown_fields=True):
    """What the current model has done wrong since it became current."""

    is_begun: bool = False  # the vision has been told to run it
    crashes: int = 0
    slow_reports: int = 0  # in a row


class RolloutState(Struct, frozen=True, forbid_unknown_fields=True):
    """All that a device remembers of its models."""

    version: Literal[1] = 1
    asked: str = ""  # the name in the settings when `current` was chosen
    current: Ref | None = None
    previous: Ref | None = None  # known good
    candidate: Ref | None = None  # in the store, waiting for its trial
    trials: int = 0  # of the candidate, begun
    probation: Probation | None = None  # of the current one; None: it is known good
    stored: tuple[Ref, ...] = ()  # the newest version of each name
    floors: dict[str, int] = {}  # lowest rollback_index of each name that may still come
    bad: tuple[str, ...] = ()  # digests of manifests that failed, the latest last
    offered_at_ms: int = 0  # issued_at_ms of the latest offer believed

    @property
    def kept(self) -> tuple[Ref, ...]:
        """Every version that something still points at."""
        pointed = (self.current, self.previous, self.candidate, *self.stored)
        return tuple(dict.fromkeys(ref for ref in pointed if ref is not None))


def running(state: RolloutState, asked: str) -> Ref | None:
    """Return the version to run where the settings name ``asked``; None: the store has none.

    What a hub's offer put in place of the owner's choice runs until the owner chooses another name.
    """
    current = state.current
    if current is not None and asked in {current.name, state.asked}:
        return current
    return newest(state, asked)


def newest(state: RolloutState, name: str) -> Ref | None:
    """Return the newest stored version of the model ``name``."""
    return next((ref for ref in state.stored if ref.name == name), None)


def floor_problem(state: RolloutState, ref: Ref) -> str | None:
    """Say why ``ref`` lies below the floor of its name, or None."""
    floor = state.floors.get(ref.name, 0)
    if ref.is_own or ref.index >= floor:
        return None
    return (
        f"{ref.name} has rollback index {ref.index}, and a version with {floor} has proven itself here: older ones "
        "are not taken back; get a newer version"
    )


def refusal(state: RolloutState, offered: Ref, *, is_included: bool) -> str | None:
    """Say why the model of an offer is not to be fetched now, or None."""
    if not is_included:
        return "it is not this device's turn"
    if _is(state.current, offered) or _is(state.candidate, offered):
        return "the device has it"
    if offered.digest in state.bad:
        return "it has failed here before"
    if state.probation is not None or state.candidate is not None:
        return "another model is on trial"
    return floor_problem(state, offered)


def asked_for(state: RolloutState, asked: str) -> RolloutState:
    """The agent starts with ``asked`` in its settings: the owner may have changed the name."""
    chosen = running(state, asked)
    if chosen is None or chosen == state.current:
        is_new = state.current is None or asked == state.current.name
        return msgspec.structs.replace(state, asked=asked) if is_new else state
    return _switched(state, chosen, asked=asked)


def begun(state: RolloutState) -> RolloutState:
    """The vision starts with the current model. On probation, only `stopped` may come before the next start.

    Otherwise it counts as a crash: a model that takes the whole machine down leaves no other trace.
    """
    if state.probation is None:
        return state
    if state.probation.is_begun:
        return crashed(state)
    return msgspec.structs.replace(state, probation=msgspec.structs.replace(state.probation, is_begun=True))


def stopped(state: RolloutState) -> RolloutState:
    """The agent ends as it was told to."""
    if state.probation is None:
        return state
    return msgspec.structs.replace(state, probation=msgspec.structs.replace(state.probation, is_begun=False))


def heard(state: RolloutState, *, issued_at_ms: int) -> RolloutState:
    """An offer was believed."""
    return msgspec.structs.replace(state, offered_at_ms=max(issued_at_ms, state.offered_at_ms))


def fetched(state: RolloutState, ref: Ref) -> RolloutState:
    """A model of an offer lies in the store, whole."""
    return msgspec.structs.replace(state, candidate=ref, trials=0)


def trial_begun(state: RolloutState) -> RolloutState:
    """The candidate's trial begins; one that never ended is counted, and a third is not begun."""
    if state.candidate is None:
        return state
    if state.trials >= TRIALS_MAX:
        return trial_failed(state)
    return msgspec.structs.replace(state, trials=state.trials + 1)


def trial_put_off(state: RolloutState) -> RolloutState:
    """The trial could not be begun: not the model's fault."""
    return msgspec.structs.replace(state, trials=max(0, state.trials - 1))


def trial_failed(state: RolloutState) -> RolloutState:
    """The candidate failed its trial."""
    tried = state.candidate
    if tried is None:
        return state
    return msgspec.structs.replace(
        state,
        candidate=None,
        previous=None if _is(state.previous, tried) else state.previous,
        stored=tuple(ref for ref in state.stored if not _is(ref, tried)),
        bad=_with_bad(state, tried),
    )


def trial_passed(state: RolloutState) -> RolloutState:
    """The candidate passed its trial: it runs from now on, on probation."""
    if state.candidate is None:
        return state
    return msgspec.structs.replace(_switched(state, state.candidate, asked=state.asked), candidate=None)


def added(state: RolloutState, ref: Ref) -> RolloutState:
    """The owner put ``ref`` in the store, its self-test passed; it runs if it is of the name that runs.

    Raises:
        ModelError: it lies below the floor.
    """
    problem = floor_problem(state, ref)
    if problem:
        raise ModelError(f"{problem}.")
    bad = tuple(digest for digest in state.bad if digest != ref.digest)
    on_trial = None if state.candidate is None or _is(state.candidate, ref) else state.candidate
    state = msgspec.structs.replace(state, stored=_stored_with(state, ref), bad=bad, candidate=on_trial)
    if state.current is None or ref.name in {state.current.name, state.asked}:
        return _switched(state, ref, asked=ref.name)
    return state


def crashed(state: RolloutState) -> RolloutState:
    """The vision ended as no camera makes it end."""
    if state.probation is None:
        return state
    counted = msgspec.structs.replace(state.probation, crashes=state.probation.crashes + 1)
    state = msgspec.structs.replace(state, probation=counted)
    return failed(state) if counted.crashes >= CRASHES_MAX else state


def seen_at_work(state: RolloutState, *, is_slow: bool) -> RolloutState:
    """The vision has told its pace: too slow several times in a row sends a model on probation back."""
    if state.probation is None or (not is_slow and state.probation.slow_reports == 0):
        return state
    reports = state.probation.slow_reports + 1 if is_slow else 0
    state = msgspec.structs.replace(state, probation=msgspec.structs.replace(state.probation, slow_reports=reports))
    return failed(state) if reports >= SLOW_REPORTS_MAX else state


def failed(state: RolloutState) -> RolloutState:
    """The current model cannot work: back to the previous one. Where there is none it stays: worse is nothing."""
    if state.current is None or state.previous is None:
        return msgspec.structs.replace(state, probation=None)
    return _back(state, state.current, state.previous)


def probation_passed(state: RolloutState) -> RolloutState:
    """The current model has proven itself: only now may the floor rise to its index."""
    if state.probation is None or state.current is None:
        return state
    floors = dict(state.floors)
    if not state.current.is_own:
        floors[state.current.name] = max(state.current.index, floors.get(state.current.name, 0))
    state = msgspec.structs.replace(state, probation=None, floors=floors)
    if state.previous is not None and floor_problem(state, state.previous):
        return msgspec.structs.replace(state, previous=None)  # nothing may go back to it any more
    return state


def rolled_back(state: RolloutState) -> RolloutState:
    """The owner goes back to the previous model; the one that is left is not taken from an offer again.

    Raises:
        ModelError: there is none, or it lies below the floor.
    """
    if state.current is None or state.previous is None:
        raise ModelError(
            f"There is no previous model to go back to{_because(state)}: add one with `cairn-edge model add`."
        )
    return _back(state, state.current, state.previous)


def _because(state: RolloutState) -> str:
    floor = 0 if state.current is None else state.floors.get(state.current.name, 0)
    if state.current is None or floor == 0:
        return ""
    return (
        f" (a {state.current.name} with rollback index {floor} has proven itself, so versions with a lower one are not "
        "taken back)"
    )


def _is(one: Ref | None, other: Ref) -> bool:
    """Whether both are one version, whoever stands for it."""
    return one is not None and one.digest == other.digest


def _switched(state: RolloutState, ref: Ref, *, asked: str) -> RolloutState:
    """Make ``ref`` current, on probation. What was current becomes previous if it is known good."""
    if _is(state.current, ref):
        return msgspec.structs.replace(state, asked=asked, current=ref)
    previous = state.previous if state.probation is not None else state.current
    return msgspec.structs.replace(
        state,
        asked=asked,
        current=ref,
        previous=None if _is(previous, ref) else previous,
        probation=Probation(),
        stored=_stored_with(state, ref),
    )


def _back(state: RolloutState, left: Ref, previous: Ref) -> RolloutState:
    others = tuple(ref for ref in state.stored if not _is(ref, left))
    stored = _stored_with(msgspec.structs.replace(state, stored=others), previous)
    return msgspec.structs.replace(
        state, current=previous, previous=None, probation=None, stored=stored, bad=_with_bad(state, left)
    )


def _stored_with(state: RolloutState, ref: Ref) -> tuple[Ref, ...]:
    others = (each for each in state.stored if each.name != ref.name)
    return tuple(sorted((*others, ref), key=lambda each: each.name))


def _with_bad(state: RolloutState, ref: Ref) -> tuple[str, ...]:
    others = tuple(digest for digest in state.bad if digest != ref.digest)
    return (*others, ref.digest)[-_BAD_KEPT:]
