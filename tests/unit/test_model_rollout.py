"""The rules of a rollout, one by one, as the header of edge.models.rollout states them."""

import msgspec
import pytest

from edge.models import rollout
from edge.models.errors import ModelError
from edge.models.rollout import CRASHES_MAX, SLOW_REPORTS_MAX, TRIALS_MAX, Ref, RolloutState

OLD = Ref("door", "0" * 64, 0)
NEW = Ref("door", "1" * 64, 1)
NEWER = Ref("door", "2" * 64, 2)
OTHER = Ref("gate", "9" * 64, 0)


def proven(*refs: Ref) -> RolloutState:
    """A device whose owner added ``refs``, each of which has proven itself before the next came."""
    state = RolloutState()
    for ref in refs:
        state = rollout.probation_passed(rollout.added(state, ref))
    return state


def switched(ref: Ref, state: RolloutState) -> RolloutState:
    """A hub's model, fetched and passed its trial."""
    return rollout.trial_passed(rollout.trial_begun(rollout.fetched(state, ref)))


def test_the_whole_way_of_a_good_model() -> None:
    state = proven(OLD)
    assert rollout.refusal(state, NEW, is_included=True) is None
    state = rollout.fetched(state, NEW)
    assert (state.current, state.candidate) == (OLD, NEW)
    state = rollout.trial_passed(rollout.trial_begun(state))
    assert (state.current, state.previous, state.candidate) == (NEW, OLD, None)
    assert state.floors == {"door": 0}  # not before it has proven itself
    state = rollout.probation_passed(state)
    assert (state.current, state.probation, state.floors) == (NEW, None, {"door": 1})
    assert state.previous is None  # below the floor from now on: nothing may go back to it
    level = Ref("door", "5" * 64, 1)
    assert rollout.probation_passed(switched(level, state)).previous == NEW


def test_a_failed_trial_changes_nothing_but_the_memory_of_it() -> None:
    state = rollout.trial_failed(rollout.trial_begun(rollout.fetched(proven(OLD), NEW)))
    assert (state.current, state.candidate, state.bad) == (OLD, None, (NEW.digest,))
    assert rollout.refusal(state, NEW, is_included=True) == "it has failed here before"


def test_a_trial_that_never_ends_is_not_begun_for_ever() -> None:
    state = rollout.fetched(proven(OLD), NEW)
    for _ in range(TRIALS_MAX):
        state = rollout.trial_begun(state)
        assert state.candidate == NEW
    assert rollout.trial_begun(rollout.trial_put_off(state)).candidate == NEW  # that one was not the model's fault
    state = rollout.trial_begun(state)
    assert (state.candidate, state.bad) == (None, (NEW.digest,))


def test_crashes_on_probation_bring_the_previous_one_back_and_it_stays() -> None:
    state = switched(NEW, proven(OLD))
    for crash in range(CRASHES_MAX):
        assert state.current == NEW, crash
        state = rollout.crashed(state)
    assert (state.current, state.previous, state.probation) == (OLD, None, None)
    assert rollout.refusal(state, NEW, is_included=True) == "it has failed here before"
    assert rollout.newest(state, "door") == OLD


def test_a_failed_self_test_or_a_slow_pace_brings_the_previous_one_back() -> None:
    state = switched(NEW, proven(OLD))
    assert rollout.failed(state).current == OLD
    for report in range(SLOW_REPORTS_MAX):
        assert state.current == NEW, report
        state = rollout.seen_at_work(state, is_slow=True)
    assert state.current == OLD


def test_a_moment_of_slowness_is_forgiven() -> None:
    state = switched(NEW, proven(OLD))
    for _ in range(3 * SLOW_REPORTS_MAX):
        state = rollout.seen_at_work(rollout.seen_at_work(state, is_slow=True), is_slow=False)
    assert state.current == NEW


def test_a_start_in_the_middle_of_a_probation_is_a_crash_unless_the_agent_was_stopped() -> None:
    state = rollout.begun(switched(NEW, proven(OLD)))
    for _ in range(10):
        state = rollout.begun(rollout.stopped(state))
    assert state.current == NEW
    for _ in range(CRASHES_MAX):
        state = rollout.begun(state)
    assert state.current == OLD


def test_after_a_probation_crashes_are_the_camera_s_or_the_machine_s() -> None:
    state = rollout.probation_passed(switched(NEW, proven(OLD)))
    for _ in range(2 * CRASHES_MAX):
        state = rollout.seen_at_work(rollout.crashed(rollout.begun(state)), is_slow=True)
    assert state.current == NEW
    assert rollout.failed(rollout.added(RolloutState(), NEW)).current == NEW  # nothing to go back to


def test_a_proven_model_whose_file_is_broken_later_gives_way_to_the_one_before() -> None:
    state = rollout.probation_passed(switched(Ref("door", "1" * 64, 0), proven(OLD)))
    assert rollout.failed(state).current == OLD


def test_nothing_is_fetched_while_another_is_on_trial() -> None:
    trying = rollout.fetched(proven(OLD), NEW)
    assert rollout.refusal(trying, NEWER, is_included=True) == "another model is on trial"
    assert rollout.refusal(switched(NEW, proven(OLD)), NEWER, is_included=True) == "another model is on trial"
    assert rollout.refusal(trying, NEW, is_included=True) == "the device has it"
    assert rollout.refusal(proven(OLD), OLD, is_included=True) == "the device has it"
    assert rollout.refusal(proven(OLD), NEW, is_included=False) == "it is not this device's turn"


def test_the_floor_forbids_what_is_older_than_what_has_proven_itself() -> None:
    state = proven(OLD, NEW)
    assert "rollback index 0" in str(rollout.refusal(state, OLD, is_included=True))
    with pytest.raises(
        ModelError, match="a door with rollback index 1 has proven itself, so versions with a lower one"
    ):
        rollout.rolled_back(state)
    with pytest.raises(ModelError, match="rollback index 0"):
        rollout.added(state, OLD)
    assert rollout.failed(state).current == NEW  # a weakness is not the way out of a broken file


def test_the_owner_goes_back_while_no_floor_forbids_it() -> None:
    state = rollout.rolled_back(rollout.added(proven(OLD), NEW))
    assert (state.current, state.previous, state.bad) == (OLD, None, (NEW.digest,))
    with pytest.raises(ModelError, match="no previous model"):
        rollout.rolled_back(state)
    assert rollout.added(state, NEW).bad == ()  # by hand, the owner may try again


def test_the_known_good_one_is_kept_while_one_unproven_follows_another() -> None:
    state = rollout.added(rollout.added(proven(OLD), NEW), NEWER)
    assert (state.current, state.previous) == (NEWER, OLD)


def test_what_a_hub_put_in_place_runs_until_the_owner_asks_for_another_name() -> None:
    state = rollout.asked_for(proven(OLD), "door")
    state = rollout.probation_passed(switched(OTHER, state))
    assert rollout.running(state, "door") == OTHER
    assert rollout.asked_for(state, "door") == state
    renamed = rollout.asked_for(state, "gate")  # now it is the owner's own choice
    assert rollout.running(renamed, "gate") == OTHER
    back = rollout.asked_for(renamed, "door")
    assert (back.current, back.previous) == (OLD, OTHER)
    assert rollout.running(state, "nobody") is None


def test_a_device_without_any_model_takes_the_first_that_a_hub_offers() -> None:
    state = switched(OTHER, rollout.asked_for(RolloutState(), "door"))
    assert rollout.running(state, "door") == OTHER


def test_a_model_added_beside_the_one_that_runs_is_only_kept() -> None:
    state = rollout.added(proven(OLD), OTHER)
    assert (state.current, rollout.newest(state, "gate")) == (OLD, OTHER)
    assert set(state.kept) == {OLD, OTHER}


def test_the_state_reads_back_as_it_was_written() -> None:
    state = rollout.heard(rollout.crashed(switched(NEW, proven(OLD))), issued_at_ms=7)
    assert msgspec.json.decode(msgspec.json.encode(state), type=RolloutState) == state
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(b'{"version":1,"curent":null}', type=RolloutState)
