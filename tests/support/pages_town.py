"""A whole network for the tests of the portal: chain, contract, hub, reward service, devices with bonds."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.node import connect
from rewards.chain.sender import Sender
from rewards.chain.values import Terms
from rewards.deployment import Deployment, save_deployment
from rewards.keys import read_key
from tests.support.nursery import Nursery
from tests.support.pages_stage import Server, Street, get_json, start_hub

TOKEN_WEI = 10**18


@dataclass(frozen=True, slots=True)
class Programs:
    """The commands a network is made of."""

    hub: Nursery
    rewards: Nursery


@dataclass(frozen=True, slots=True)
class Town:
    """A chain with a contract, a hub whose beacon it is, a reward service, and devices whose owners have bonds."""

    programs: Programs
    chain: Server
    hub: Server
    rewards: Server
    street: Street
    operator: RewardsAccount
    contributors: tuple[RewardsAccount, ...]
    folder: Path

    @property
    def hub_url(self) -> str:
        return self.street.hub_url

    @property
    def rewards_url(self) -> str:
        url: str = self.rewards.ready["http"]
        return url

    def account(self, number: int) -> str:
        """The address of a contributor."""
        return "0x" + self.contributors[number].account.hex()

    def posted_epochs(self) -> int:
        rows = get_json(f"{self.rewards_url}/v1/epochs")["rows"]
        return int(rows[0]["epoch"]) if rows else 0


@contextmanager
def running_town(programs: Programs, folder: Path, *, epoch_seconds: int) -> Iterator[Town]:
    """Bring up a whole network with the commands its people use; take all of it down again."""
    with ExitStack() as stack:
        words = ["chain", "up", "--state", str(folder / "chain"), "--keys", str(folder / "keys"), "--port", "0"]
        chain = Server("chain", programs.rewards, words, folder)
        stack.callback(chain.stop)
        operator, *contributors = _accounts(chain, folder)
        hub = start_hub(programs.hub, folder, epoch_seconds=epoch_seconds, more=["--chain-rpc", chain.ready["rpc"]])
        stack.callback(hub.stop)
        street = Street(hub, [owner.account for owner in contributors])
        stack.callback(street.close)
        street.enroll()
        for device in street.devices[:-1]:  # the last one has no bond, so its owner is told so
            contributors[device.seed % 2].stake(device.keys.public_key.raw, Wei(10 * TOKEN_WEI))
        rewards = start_rewards(programs.rewards, chain, hub, folder)
        stack.callback(rewards.stop)
        yield Town(programs, chain, hub, rewards, street, operator, tuple(contributors), folder)


def start_rewards(program: Nursery, chain: Server, hub: Server, folder: Path, *, http_port: int = 0) -> Server:
    rpc = chain.ready["rpc"]
    words = ["run", "--key-file", str(folder / "keys" / "account-0.key"), "--rpc", rpc, "--public-rpc", rpc]
    words += ["--hub", hub.ready["http"], "--http-port", str(http_port), "--poll-seconds", "0.5"]
    words += ["--deployment", str(folder / "deployment.json"), "--data", str(folder / "rewards")]
    return Server("rewards", program, words, folder)


def _accounts(chain: Server, folder: Path) -> list[RewardsAccount]:
    """Deploy and fund a contract; return its attester and two contributors who have tokens."""
    web3 = connect(chain.ready["rpc"], chain_id=chain.ready["chain_id"])
    senders = [Sender(web3, read_key(folder / "keys" / f"account-{number}.key")) for number in range(3)]
    terms = Terms(
        token=deploy_test_token(senders[0]),
        attesters=(senders[0].account,),
        quorum=1,
        challenge_s=0,
        unbonding_s=1_000,
        epoch_cap_wei=Wei(100 * TOKEN_WEI + 7),
    )
    contract = deploy_rewards(senders[0], terms)
    save_deployment(
        folder / "deployment.json",
        Deployment(chain.ready["chain_id"], contract.address, contract.token.address, contract.first_block),
    )
    accounts = [RewardsAccount(contract, sender) for sender in senders]
    for account in accounts:
        account.mint(Wei(60_000 * TOKEN_WEI))
    accounts[0].fund(Wei(50_000 * TOKEN_WEI))
    return accounts
