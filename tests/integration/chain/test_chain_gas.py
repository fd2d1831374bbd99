"""What the common acts cost, printed (pytest -s) and held under a ceiling so that a change that costs more is seen."""

import os
from collections.abc import Callable, Mapping

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.contract import RewardsContract
from rewards.chain.values import Attestation, ProvenClaim

Deploy = Callable[..., RewardsContract]
Act = Callable[[RewardsContract, int], RewardsAccount]
Plant = Callable[[RewardsContract, Mapping[bytes, int]], tuple[bytes, dict[bytes, ProvenClaim]]]

LEAVES = 10_000
CEILINGS = {
    "stake_first": 125_000,
    "stake_more": 70_000,
    "attest_first": 125_000,
    "attest_steady": 90_000,
    "claim_first_activating": 160_000,
    "claim_first": 105_000,
    "claim_later": 70_000,
    "claim_many_later_each_of_50": 32_000,
}


def test_common_acts_stay_under_their_ceilings(deploy: Deploy, act: Act, plant: Plant) -> None:
    contract = deploy()
    hub = act(contract, 0)
    everybody = [os.urandom(20) for _ in range(LEAVES)]
    used: dict[str, int] = {}
    used["stake_first"] = hub.stake(b"\x01" * 32, Wei(100)).gas_used
    hub.stake(b"\x02" * 32, Wei(100))
    used["stake_more"] = hub.stake(b"\x01" * 32, Wei(100)).gas_used
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
    print({"gas": used})
    assert {name: gas for name, gas in used.items() if gas > CEILINGS[name]} == {}
    assert used.keys() == CEILINGS.keys()
