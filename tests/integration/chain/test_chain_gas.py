"""What the common acts cost, printed (pytest -s) and held under a ceiling so that a change that costs more is seen."""

import os
from collections.abc import Callable, Mapping

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.anvil import Anvil
from rewards.chain.contract import RewardsContract
from rewards.chain.values import Attestation, ProvenClaim

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]
Plant = Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]

LEAVES = 10_000
CEILINGS = {  # about a twentieth above what was measured
    "stake_first_of_the_contract": 110_000,
    "stake_first": 74_000,
    "stake_more": 56_000,
    "unbond": 33_000,
    "withdraw": 53_000,
    "attest_first": 116_000,
    "attest_steady": 60_000,
    "attest_activating": 70_000,
    "claim_first_activating": 133_000,
    "claim_first": 102_000,
    "claim_later": 66_000,
    "claim_many_later_each_of_50": 29_000,
}


def test_common_acts_stay_under_their_ceilings(deploy: Deploy, act: Act, plant: Plant, node: Anvil) -> None:
    contract = deploy()
    hub = act(contract, 0)
    everybody = [os.urandom(20) for _ in range(LEAVES)]
    used: dict[str, int] = {}
    used["stake_first_of_the_contract"] = hub.stake(b"\x01" * 32, Wei(100)).gas_used
    act(contract, 1).stake(b"\x02" * 32, Wei(100))  # a stranger's bond makes the owner's no dearer
    used["stake_first"] = hub.stake(b"\x02" * 32, Wei(100)).gas_used
    used["stake_more"] = hub.stake(b"\x02" * 32, Wei(100)).gas_used
    used["unbond"] = hub.unbond(b"\x02" * 32, Wei(50)).gas_used
    node.rpc("evm_increaseTime", 1_001)
    used["withdraw"] = hub.withdraw(b"\x02" * 32).gas_used
    hub.fund(Wei(10**9))
    for epoch in range(1, 5):
        root, claims = plant(contract, dict.fromkeys(everybody, 100 * epoch))
        said = Attestation(epoch, root, Wei(100 * epoch * LEAVES), b"\x01" * 32, b"\x02" * 32, epoch)
        mined = hub.attest(said).mined
        assert mined is not None
        used["attest_first" if epoch == 1 else "attest_steady"] = mined.gas_used
        activating, plain = (hub.claim(claims[everybody[number]]).mined.gas_used for number in (0, 1))
        if epoch == 1:
            used |= {"claim_first_activating": activating, "claim_first": plain}
        used["claim_later"] = plain
        some = [claims[who] for who in everybody[100:150]]
        used["claim_many_later_each_of_50"] = hub.claim_many(some).mined.gas_used // len(some)
    # Two epochs with no claim in between: the second attestation puts the first one's root in force.
    for epoch in (5, 6):
        said = Attestation(epoch, os.urandom(32), Wei(100 * epoch * LEAVES), b"\x01" * 32, b"\x02" * 32, epoch)
        mined = hub.attest(said).mined
        assert mined is not None
        used["attest_activating"] = mined.gas_used
    print({"gas": used})
    assert {name: gas for name, gas in used.items() if gas > CEILINGS[name]} == {}
    assert used.keys() == CEILINGS.keys()
