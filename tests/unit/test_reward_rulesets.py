"""Rulesets are named and mapped; nothing is paid by a ruleset that nobody named."""

import pytest

from protocol.units import Wei
from rewards.domain.errors import RulesetError
from rewards.domain.report import Ledger
from rewards.domain.rulesets import CAIRN_1, ruleset_for, ruleset_named
from rewards.domain.settle import Registry, pool_of


def test_every_epoch_from_the_first_has_the_ruleset_of_the_calendar() -> None:
    assert ruleset_for(1) is CAIRN_1
    assert ruleset_for(10**6) is CAIRN_1


def test_an_epoch_before_the_calendar_has_none() -> None:
    with pytest.raises(RulesetError, match="no ruleset is in force in epoch 0"):
        ruleset_for(0)


def test_the_calendars_last_line_that_has_begun_holds() -> None:
    calendar = ((1, "cairn-1"), (5, "cairn-9"))
    assert ruleset_for(4, calendar) is CAIRN_1
    with pytest.raises(RulesetError, match="does not know ruleset 'cairn-9'"):
        ruleset_for(5, calendar)


def test_an_unknown_name_is_no_ruleset() -> None:
    with pytest.raises(RulesetError, match="install one that does"):
        ruleset_named("cairn-0")


@pytest.mark.parametrize(
    ("funded_wei", "earned_wei", "pool_wei"), [(1_000, 0, 100), (1_000, 950, 50), (1_000, 1_000, 0), (0, 5, 0)]
)
def test_the_pool_is_the_cap_or_what_is_funded_and_not_earned(funded_wei: int, earned_wei: int, pool_wei: int) -> None:
    registry = Registry(Ledger(1, bytes(20), 1), {}, Wei(funded_wei), Wei(100))
    assert pool_of(registry, Wei(earned_wei)) == pool_wei
