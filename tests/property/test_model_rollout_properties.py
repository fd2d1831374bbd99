"""Rollouts: whose turn it is, for any device and seed; and what any order of events leaves a device with."""

from collections.abc import Callable
from contextlib import suppress

from hypothesis import given
from hypothesis import strategies as st

from edge.models import rollout
from edge.models.errors import ModelError
from edge.models.rollout import Ref, RolloutState
from protocol.identity import KeyPair, PublicKey
from protocol.modeloffer import is_included

seeds = st.binary(min_size=16, max_size=16)
keys = st.binary(min_size=32, max_size=32).map(lambda seed: KeyPair(seed).public_key)
percents = st.integers(0, 100)
refs = st.builds(
    lambda name, number, is_own: Ref(name, f"{name}{number}{is_own}", number, is_own),
    st.sampled_from(["door", "gate"]),
    st.integers(0, 3),
    st.booleans(),
)

Event = Callable[[RolloutState], RolloutState]


def offered(ref: Ref) -> Event:
    """A hub's model arrives, if the device wants it."""

    def event(state: RolloutState) -> RolloutState:
        return state if rollout.refusal(state, ref, is_included=True) else rollout.fetched(state, ref)

    return event


events: st.SearchStrategy[Event] = st.one_of(
    refs.map(offered),
    refs.map(lambda ref: lambda state: rollout.added(state, ref)),
    st.sampled_from(["door", "gate", "none"]).map(lambda name: lambda state: rollout.asked_for(state, name)),
    st.sampled_from(
        [
            rollout.begun,
            rollout.stopped,
            rollout.trial_begun,
            rollout.trial_put_off,
            rollout.trial_passed,
            rollout.trial_failed,
            rollout.crashed,
            rollout.failed,
            rollout.probation_passed,
            rollout.rolled_back,
            lambda state: rollout.seen_at_work(state, is_slow=True),
            lambda state: rollout.seen_at_work(state, is_slow=False),
        ]
    ),
)


@given(key=keys, seed=seeds, smaller=percents, larger=percents)
def test_whoever_is_included_stays_included_at_every_higher_percentage(
    key: PublicKey, seed: bytes, smaller: int, larger: int
) -> None:
    smaller, larger = sorted((smaller, larger))
    was, is_now = (is_included(key, seed=seed, percent=percent) for percent in (smaller, larger))
    assert was <= is_now
    assert was == is_included(key, seed=bytes(seed), percent=smaller)


@given(key=keys, seed=seeds)
def test_nobody_is_included_at_none_and_everybody_at_a_hundred(key: PublicKey, seed: bytes) -> None:
    assert not is_included(key, seed=seed, percent=0)
    assert is_included(key, seed=seed, percent=100)


@given(st.lists(events, max_size=60))
def test_in_any_order_of_events_a_device_keeps_a_model_that_works(happened: list[Event]) -> None:
    state = RolloutState()
    for event in happened:
        before = state
        with suppress(ModelError):
            state = event(state)
        assert before.current is None or state.current is not None
        assert all(state.floors.get(name, 0) >= floor for name, floor in before.floors.items())
        for ref in (state.current, state.previous, *state.stored):
            assert ref is None or ref.digest not in state.bad
        for ref in (state.current, state.previous):
            assert ref is None or rollout.floor_problem(state, ref) is None
        assert state.probation is None or state.candidate is None or before.candidate == state.candidate
        assert state.previous is None or state.previous != state.current
        assert len({ref.name for ref in state.stored}) == len(state.stored)


@given(st.lists(events, max_size=60))
def test_what_is_known_good_is_never_given_up_for_what_is_not(happened: list[Event]) -> None:
    """While a model is on probation, the last one that was not stands ready, unless the owner or its trial undid it."""
    state = RolloutState()
    proven: Ref | None = None
    for event in happened:
        with suppress(ModelError):
            state = event(state)
        if state.probation is None:
            proven = state.current
        elif proven is not None and proven.digest not in state.bad and proven != state.current:
            assert state.previous == proven
