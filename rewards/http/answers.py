"""The shapes of the API's answers: what `/openapi.json` promises. Amounts are decimal text."""

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """What all answers have in common."""

    model_config = ConfigDict(frozen=True)


class Problem(Answer):
    """An error (RFC 9457). ``known_at_ms`` and ``age_ms`` say how old the last good reading of the chain is."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    known_at_ms: int | None = None
    age_ms: int | None = None


class Health(Answer):
    """``status`` is ``ok``, or ``trouble`` with the sentence in ``trouble``."""

    status: str
    version: str
    now_ms: int
    doing: str
    trouble: str | None
    trouble_since_ms: int | None
    last_step_ms: int | None
    chain_read_ms: int | None
    posted_epochs: int | None
    attests: bool


class Network(Answer):
    """What a wallet or a contributor must know."""

    chain_id: int
    contract: str
    token: str
    rpc: str | None
    attesters: list[str]
    quorum: int
    challenge_seconds: int
    unbonding_seconds: int
    epoch_cap_wei: str
    ruleset: str
    min_bond_wei: str


class Vantage(Answer):
    """Grid numbers of the ruleset; ``octant`` 0 looks north, -1 is none."""

    lat_grid: int
    lon_grid: int
    octant: int


class Line(Answer):
    """What one device did in one epoch, what that is worth, and in one word why."""

    epoch: int
    state: str
    device: str
    owner: str | None
    vantage: Vantage | None
    active_slots: list[int]
    envelopes: int
    observations: int
    weight_ppm: int
    share_wei: str
    reason: str


class AccountAnswer(Answer):
    """What an account earned. ``before`` asks for older epochs; null when there are none."""

    account: str
    earned_wei: str
    pending_wei: str
    claimed_wei: str
    claimable_wei: str
    read_at_ms: int
    lines: list[Line]
    before: int | None


class EpochSummary(Answer):
    """One posted epoch."""

    epoch: int
    state: str
    root: str
    manifest: str
    report: str
    cumulative_total_wei: str
    registry_block: int
    activates_at_ms: int
    transaction: str


class EpochAnswer(EpochSummary):
    """One posted epoch with everything it was computed from."""

    network: str
    ruleset: str
    pool_wei: str
    paid_wei: str
    unallocated_wei: str
    devices: int
    accounts: int
    lines: list[Line]


class EpochPage(Answer):
    """Posted epochs, newest first. ``before`` asks for older ones; null when there are none."""

    rows: list[EpochSummary]
    before: int | None


class LeafAnswer(Answer):
    """The leaf as the contract hashes it."""

    chain_id: int
    contract: str
    account: str
    cumulative_wei: str


class ProofAnswer(Answer):
    """What `claim` of the contract wants."""

    epoch: int
    root: str
    leaf: LeafAnswer
    leaf_hash: str
    proof: list[str]
