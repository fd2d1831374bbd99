"""Whatever people do in whatever order, the contract's two purses add up: a state machine on a real node.

Every rule acts on the contract and on a model of it in plain Python; after every step both must agree.
"""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from protocol.claim import Claim
from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import RefusedError
from rewards.chain.values import Attestation, Bond, ProvenClaim

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]
Plant = Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]
Tree = tuple[int, dict[bytes, ProvenClaim]]  # total, claims

EARNERS = tuple(bytes([n]) * 20 for n in (0xA1, 0xB2, 0xC3))
DEVICES = tuple(bytes([n]) * 32 for n in (1, 2))
CAP_WEI = 500
WINDOW_S = 100
amounts = st.integers(1, 300)


class Market(RuleBasedStateMachine):
    """A hub that is sometimes wrong, two owners, three earners, and time."""

    def __init__(self, contract: RewardsContract, node: Anvil, act: Act, plant: Plant) -> None:
        super().__init__()
        self.contract, self.node, self.plant = contract, node, plant
        self.hub = act(contract, 0)
        self.owners = (act(contract, 1), act(contract, 2))
        self.bonds: dict[tuple[bytes, bytes], Bond] = {}  # by device and owner
        self.funded_wei = 0
        self.stray_wei = 0
        self.earned: dict[bytes, int] = dict.fromkeys(EARNERS, 0)
        self.claimed: dict[bytes, int] = dict.fromkeys(EARNERS, 0)
        self.epoch = 0
        self.active: Tree | None = None
        self.pending: tuple[int, Tree] | None = None  # with its activation time

    def now_s(self) -> int:
        return self.contract.block()[2]

    def settle(self, at_s: int) -> None:
        """What was pending is active for any transaction in a block of time ``at_s``."""
        if self.pending is not None and at_s >= self.pending[0]:
            self.active, self.pending = self.pending[1], None

    def bond(self, device: bytes, owner: bytes) -> Bond:
        return self.bonds.get((device, owner), Bond(device, owner, Wei(0), Wei(0), 0))

    def keep(self, bond: Bond) -> None:
        """Write ``bond`` over the owner's earlier one, and over no other."""
        self.bonds[bond.device_key, bond.owner] = bond
        if not bond.amount_wei and not bond.unbonding_wei:
            del self.bonds[bond.device_key, bond.owner]

    @rule(who=st.integers(0, 1), device=st.sampled_from(DEVICES), amount_wei=amounts)
    def stake(self, who: int, device: bytes, amount_wei: int) -> None:
        owner = self.owners[who]
        bond = self.bond(device, owner.account)
        owner.stake(device, Wei(amount_wei))
        total_wei = Wei(bond.amount_wei + amount_wei)
        self.keep(Bond(device, owner.account, total_wei, bond.unbonding_wei, bond.unbond_at_s))

    @rule(who=st.integers(0, 1), device=st.sampled_from(DEVICES), amount_wei=amounts)
    def unbond(self, who: int, device: bytes, amount_wei: int) -> None:
        owner = self.owners[who]
        bond = self.bond(device, owner.account)
        if amount_wei > bond.amount_wei:
            self.refused("BondTooSmall", lambda: owner.unbond(device, Wei(amount_wei)))
            return
        mined = owner.unbond(device, Wei(amount_wei))
        leaves_at_s = self.contract.block(mined.block_number)[2] + 1_000
        left_wei, leaving_wei = Wei(bond.amount_wei - amount_wei), Wei(bond.unbonding_wei + amount_wei)
        self.keep(Bond(device, owner.account, left_wei, leaving_wei, leaves_at_s))

    @rule(who=st.integers(0, 1), device=st.sampled_from(DEVICES))
    def withdraw(self, who: int, device: bytes) -> None:
        owner = self.owners[who]
        bond = self.bond(device, owner.account)
        if bond.unbonding_wei == 0:
            self.refused("NothingUnbonding", lambda: owner.withdraw(device))
        elif self.now_s() + 30 < bond.unbond_at_s:
            self.refused("StillUnbonding", lambda: owner.withdraw(device))
        elif self.now_s() >= bond.unbond_at_s:
            owner.withdraw(device)
            self.keep(Bond(device, owner.account, bond.amount_wei, Wei(0), 0))

    @rule(amount_wei=amounts)
    def fund(self, amount_wei: int) -> None:
        self.hub.fund(Wei(amount_wei))
        self.funded_wei += amount_wei

    @rule(amount_wei=amounts)
    def send_tokens_by_mistake(self, amount_wei: int) -> None:
        self.hub.mint(Wei(amount_wei), to=bytes.fromhex(self.contract.address[2:]))
        self.stray_wei += amount_wei

    @rule(gains=st.tuples(*[st.integers(0, 200)] * 3), understated_wei=st.integers(0, 60))
    def attest(self, gains: tuple[int, ...], understated_wei: int) -> None:
        """A tree whose leaves may add up to more than the total the hub states."""
        earned = {who: self.earned[who] + gain for who, gain in zip(EARNERS, gains, strict=True)}
        root, claims = self.plant(self.contract, earned)
        before_s = self.now_s()
        active_wei = self.active[0] if self.active else 0
        if self.pending is not None and before_s + 30 >= self.pending[0]:
            self.wait(WINDOW_S)
            self.settle(self.now_s())
            active_wei = self.active[0] if self.active else 0
        total_wei = max(active_wei, sum(earned.values()) - understated_wei)
        said = Attestation(self.epoch + 1, root, Wei(total_wei), b"\x01" * 32, b"\x02" * 32, 1)
        if self.pending is not None:
            self.refused("RootStillPending", lambda: self.hub.attest(said))
        elif total_wei - active_wei > CAP_WEI:
            self.refused("EpochCapExceeded", lambda: self.hub.attest(said))
        elif total_wei > self.funded_wei:
            self.refused("NotFunded", lambda: self.hub.attest(said))
        else:
            posted = self.hub.attest(said).posted
            assert posted is not None
            self.pending = (posted.activates_at_s, (total_wei, claims))
            self.earned, self.epoch = earned, self.epoch + 1

    @rule(seconds=st.sampled_from([1, 60, WINDOW_S + 1, 1_001]))
    def wait(self, seconds: int) -> None:
        self.node.rpc("evm_increaseTime", seconds)
        self.node.rpc("evm_mine")

    @rule(who=st.sampled_from(EARNERS), off_by_wei=st.sampled_from([0, 0, 0, 1, -1]))
    def claim(self, who: bytes, off_by_wei: int) -> None:
        self.settle(self.now_s())
        if self.pending is not None and self.now_s() + 30 >= self.pending[0]:
            return  # the window may end between looking and mining
        if self.active is None:
            claim = ProvenClaim(Claim(who, Wei(5)), ())
            self.refused("NoActiveRoot", lambda: self.hub.claim(claim))
            return
        total_wei, claims = self.active
        true = claims[who]
        claim = ProvenClaim(Claim(who, Wei(max(0, true.claim.cumulative_wei + off_by_wei))), true.proof)
        owed_wei = claim.claim.cumulative_wei - self.claimed[who]
        if owed_wei <= 0:
            self.refused("NothingToClaim", lambda: self.hub.claim(claim))
        elif claim != true:
            self.refused("InvalidProof", lambda: self.hub.claim(claim))
        elif sum(self.claimed.values()) + owed_wei > total_wei:
            self.refused("ClaimExceedsTotal", lambda: self.hub.claim(claim))
        else:
            assert self.hub.claim(claim).amounts_wei == {who: owed_wei}
            self.claimed[who] += owed_wei

    def refused(self, reason: str, attempt: Callable[[], object]) -> None:
        with pytest.raises(RefusedError) as refused:
            attempt()
        assert refused.value.reason == reason

    @invariant()
    def the_purses_add_up(self) -> None:
        purses = self.contract.purses()
        unclaimed_wei = purses.funded_wei - purses.claimed_wei
        assert purses.balance_wei == purses.bonded_wei + unclaimed_wei + self.stray_wei
        assert purses.bonded_wei == sum(bond.amount_wei + bond.unbonding_wei for bond in self.bonds.values())
        assert purses.funded_wei == self.funded_wei
        active = self.contract.active_root()
        active_wei = active.cumulative_total_wei if active else 0
        assert sum(self.claimed.values()) == purses.claimed_wei <= active_wei <= purses.funded_wei

    def teardown(self) -> None:
        """Every account has what it claimed, every bond is known, and the record of all roots chains up."""
        for who in EARNERS:
            assert self.contract.claimed_wei(who) == self.claimed[who] == self.hub.token_balance_wei(who)
        assert self.contract.bonds_at(self.contract.block()[0]) == tuple(sorted(self.bonds.values()))
        assert [root.attestation.epoch for root in self.contract.roots()] == list(range(1, self.epoch + 1))


def test_the_purses_add_up_whatever_happens(deploy: Deploy, act: Act, plant: Plant, node: Anvil) -> None:
    class FreshMarket(Market):
        def __init__(self) -> None:
            super().__init__(deploy(challenge_s=WINDOW_S, cap_wei=CAP_WEI), node, act, plant)

    run_state_machine_as_test(
        FreshMarket,
        settings=settings(
            max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
