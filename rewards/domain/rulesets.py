"""Which maths divides which epoch. A ruleset is named in every report and never changes; a better one gets a new name.

There is no default: an epoch that the calendar does not map, or a name that is not here, is an error.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from protocol.units import Wei
from rewards.domain.errors import RulesetError
from rewards.domain.weights import CellWeights, weigh


@dataclass(frozen=True, slots=True)
class Ruleset:
    """The constants and the weighing of one ruleset."""

    name: str
    slots: int  # an epoch is cut into this many
    redundancy: int  # a lone vantage gets one part in this many of its cell
    min_bond_wei: Wei  # below this a device is not paid
    weigh: Callable[..., CellWeights]


CAIRN_1: Final = Ruleset(name="cairn-1", slots=12, redundancy=2, min_bond_wei=Wei(10**18), weigh=weigh)

RULESETS: Final[Mapping[str, Ruleset]] = {CAIRN_1.name: CAIRN_1}
CALENDAR: Final[tuple[tuple[int, str], ...]] = ((1, CAIRN_1.name),)  # (first epoch, name), ascending


def ruleset_named(name: str) -> Ruleset:
    """Return the ruleset ``name``.

    Raises:
        RulesetError: this release does not know it.
    """
    try:
        return RULESETS[name]
    except KeyError as error:
        raise RulesetError(f"this release does not know ruleset {name!r}: install one that does") from error


def ruleset_for(epoch: int, calendar: tuple[tuple[int, str], ...] = CALENDAR) -> Ruleset:
    """Return the ruleset in force in ``epoch``: the calendar's last line that has begun.

    Raises:
        RulesetError: the calendar begins later.
    """
    begun = [name for first_epoch, name in calendar if first_epoch <= epoch]
    if not begun:
        raise RulesetError(f"no ruleset is in force in epoch {epoch}")
    return ruleset_named(begun[-1])
