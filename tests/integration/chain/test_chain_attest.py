"""How hubs agree on an epoch: quorum, order, limits, and saying the same thing twice."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from eth_account.signers.local import LocalAccount

from protocol.units import Wei
from rewards.audit import AuditError, audit
from rewards.chain.acting import RewardsAccount
from rewards.chain.contract import RewardsContract
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.errors import ChainError, RefusedError
from rewards.chain.sender import Sender
from rewards.chain.values import Attestation, Terms
from rewards.gateway import Gateway
from rewards.registry import ChainRegistry

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]

FIRST = Attestation(1, b"\x11" * 32, Wei(100), b"\x01" * 32, b"\x02" * 32, registry_block=7)


def test_two_of_three_hubs_post_a_root(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=3, quorum=2)
    hubs = [act(contract, number) for number in range(3)]
    hubs[0].fund(Wei(1_000))
    one = hubs[0].attest(FIRST)
    assert (one.posted, one.votes) == (None, 1)
    assert contract.active_root() is None
    two = hubs[1].attest(FIRST)
    assert two.posted is not None
    assert two.votes == 2
    third = hubs[2].attest(FIRST)
    assert third.posted == two.posted
    assert third.mined is None
    active = contract.active_root()
    assert active is not None
    assert active.root == FIRST.root


def test_hubs_that_differ_in_one_field_do_not_add_up(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=3, quorum=2)
    hubs = [act(contract, number) for number in range(3)]
    hubs[0].fund(Wei(1_000))
    hubs[0].attest(FIRST)
    for change in ({"report_digest": b"\x09" * 32}, {"registry_block": 8}, {"cumulative_total_wei": Wei(99)}):
        assert hubs[1].attest(replace(FIRST, **change)).votes == 1
    assert contract.active_root() is None
    assert hubs[2].attest(FIRST).posted is not None


def test_only_a_hubs_latest_word_counts(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=3, quorum=2)
    hubs = [act(contract, number) for number in range(3)]
    hubs[0].fund(Wei(1_000))
    mistaken = replace(FIRST, root=b"\x66" * 32)
    hubs[0].attest(mistaken)
    hubs[0].attest(FIRST)
    assert hubs[1].attest(mistaken).posted is None
    assert hubs[2].attest(FIRST).posted is not None


def test_saying_the_same_again_sends_nothing(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=2, quorum=2)
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    assert hub.attest(FIRST).mined is not None
    again = hub.attest(FIRST)
    assert (again.mined, again.votes, again.posted) == (None, 1, None)


def test_a_hub_that_computed_another_root_than_was_posted_hears_so(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=2, quorum=1)
    act(contract, 0).fund(Wei(1_000))
    act(contract, 0).attest(FIRST)
    with pytest.raises(RefusedError, match="compare the two epoch reports") as refused:
        act(contract, 1).attest(replace(FIRST, root=b"\x12" * 32))
    assert refused.value.reason == "EpochDisagrees"


@pytest.mark.parametrize(
    ("second", "reason"),
    [
        (replace(FIRST, epoch=3, cumulative_total_wei=Wei(200)), "EpochOutOfOrder"),
        (replace(FIRST, epoch=0, cumulative_total_wei=Wei(200)), "EpochOutOfOrder"),
        (replace(FIRST, epoch=2, root=bytes(32)), "ZeroRoot"),
        (replace(FIRST, epoch=2, cumulative_total_wei=Wei(99)), "TotalDecreased"),
        (replace(FIRST, epoch=2, cumulative_total_wei=Wei(601)), "EpochCapExceeded"),
        (replace(FIRST, epoch=2, cumulative_total_wei=Wei(401)), "NotFunded"),
    ],
)
def test_an_epoch_that_breaks_the_rules_is_refused(deploy: Deploy, act: Act, second: Attestation, reason: str) -> None:
    contract = deploy(cap_wei=500)
    hub = act(contract, 0)
    hub.fund(Wei(400))
    hub.attest(FIRST)
    with pytest.raises(RefusedError) as refused:
        hub.attest(second)
    assert refused.value.reason == reason
    assert hub.attest(replace(FIRST, epoch=2, cumulative_total_wei=Wei(400))).posted is not None


def test_bonds_and_tokens_sent_by_mistake_do_not_count_as_funding(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    hub = act(contract, 0)
    act(contract, 1).stake(b"\x0d" * 32, Wei(1_000))
    hub.mint(Wei(1_000), to=bytes.fromhex(contract.address[2:]))
    with pytest.raises(RefusedError, match="more than the 0 wei ever funded"):
        hub.attest(FIRST)


def test_an_epoch_in_which_nobody_earned_may_keep_the_root(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    hub.attest(FIRST)
    assert hub.attest(replace(FIRST, epoch=2)).posted is not None


def test_a_stranger_cannot_attest(deploy: Deploy, act: Act) -> None:
    contract = deploy()
    with pytest.raises(RefusedError, match="is not one of the contract's attesters"):
        act(contract, 3).attest(FIRST)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"quorum": 0}, "quorum must be"),
        ({"quorum": 3}, "quorum must be"),
        ({"attesters": (b"\x01" * 20, b"\x01" * 20)}, "attester zero or twice"),
        ({"attesters": (bytes(20), b"\x01" * 20)}, "attester zero or twice"),
        ({"attesters": tuple(n.to_bytes(20) for n in range(1, 66))}, "too many attesters"),
        ({"challenge_s": 1_001}, "unbonding ends before the challenge"),
        ({"unbonding_s": 86_400_000}, "over a year"),
        ({"epoch_cap_wei": Wei(0)}, "the epoch cap is zero"),
        ({"token": b"\x77" * 20}, "the token is not a contract"),
    ],
)
def test_terms_that_make_no_sense_cannot_be_deployed(
    deploy: Deploy, people: tuple[LocalAccount, ...], change: dict[str, object], sentence: str
) -> None:
    sender = Sender(deploy().web3, people[0])
    token = deploy_test_token(sender)
    terms = Terms(token, (b"\x01" * 20, b"\x02" * 20), 2, 1_000, 1_000, Wei(1))
    assert deploy_rewards(sender, terms).terms() == terms
    with pytest.raises(RefusedError, match=sentence):
        deploy_rewards(sender, replace(terms, **change))  # type: ignore[arg-type]


def test_a_reader_that_is_not_shown_a_posted_root_says_so(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=1, quorum=1)
    assert contract.roots() == ()
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    hub.attest(FIRST)
    assert [root.attestation for root in contract.roots()] == [FIRST]
    late = RewardsContract(contract.web3, contract.address, first_block=contract.block()[0] + 1)
    with pytest.raises(ChainError, match="does not show every root ever posted"):
        late.roots()


def test_an_audit_from_a_first_root_that_is_not_epoch_1_is_refused(deploy: Deploy, act: Act) -> None:
    contract = deploy(attesters=1, quorum=1)
    hub = act(contract, 0)
    hub.fund(Wei(1_000))
    hub.attest(replace(FIRST, epoch=7))
    registry = ChainRegistry(contract, chain_id=31_337, epoch_cap_wei=Wei(1_000))
    with pytest.raises(AuditError, match="first root on chain is of epoch 7"):
        list(audit(Gateway("http://127.0.0.1:1"), None, registry, up_to=7, told=lambda _: None))
