"""What can be wrong with an epoch's evidence or with a report: one root, every message one sentence."""


class SettlementError(ValueError):
    """The root of everything `rewards.domain` raises."""


class EvidenceError(SettlementError):
    """What was published about an epoch contradicts itself or is not signed by whom it names."""


class RulesetError(SettlementError):
    """No ruleset has that name, or none is in force for that epoch."""


class AllocationError(SettlementError):
    """Shares and remainder do not add up to the pool. This must never happen; nothing is paid when it does."""


class ReportError(SettlementError):
    """The blocks are not an epoch report in its one encoding."""
