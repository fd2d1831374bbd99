"""Commands that move money or put contracts on a chain. With ``dry_run`` they only say what they would do."""

from collections.abc import Sequence
from dataclasses import asdict, replace

from eth_utils.address import to_canonical_address

from protocol.identity import PublicKey
from protocol.units import Wei
from rewards.chain.acting import RewardsAccount
from rewards.chain.deploy import deploy_rewards, deploy_test_token
from rewards.chain.node import checksum, connect
from rewards.chain.sender import Sender
from rewards.chain.values import Mined, Terms
from rewards.commands.door import CommandError, Door, Outcome
from rewards.deployment import Deployment, save_deployment

TEST_TOKEN = bytes(20)


def deploy(door: Door, terms: Terms, *, chain_id: int, dry_run: bool) -> Outcome:
    """Put a contract on the chain and write the deployment file.

    Args:
        door: where to; its deployment file must not exist yet.
        terms: with a token of zeros a test token is deployed too; no attesters means the deploying account alone.
        chain_id: what the node must serve.
        dry_run: only say what would be done.

    Raises:
        ChainError, KeyFileError, DeploymentError, CommandError: one sentence.
    """
    if door.deployment_path.exists():
        raise CommandError(f"{door.deployment_path} exists: name another --deployment, or use what is deployed.")
    account = door.key()
    if not terms.attesters:
        terms = replace(terms, attesters=(bytes(to_canonical_address(account.address)),))
    if dry_run:
        return Outcome({"dry_run": True, "from": account.address, "chain_id": chain_id, "terms": _readable(terms)})
    sender = Sender(connect(door.rpc_url, chain_id=chain_id), account)
    if terms.token == TEST_TOKEN:
        terms = replace(terms, token=deploy_test_token(sender))
        door.say(f"Deployed a test token at {checksum(terms.token)}.")
    contract = deploy_rewards(sender, terms)
    deployment = Deployment(chain_id, contract.address, checksum(terms.token), contract.first_block)
    save_deployment(door.deployment_path, deployment)
    door.say(f"Deployed the contract at {contract.address}; {door.deployment_path} says so.")
    return Outcome(asdict(deployment))


def mint(door: Door, amount_wei: Wei, *, to: Sequence[bytes], dry_run: bool) -> Outcome:
    """Make test tokens: ``amount_wei`` for each of ``to``, or for the key's account where nobody is named.

    Raises:
        ChainError, KeyFileError, DeploymentError: one sentence.
    """
    acting = door.acting()
    accounts = tuple(to) or (acting.account,)
    told = {"to": [checksum(account) for account in accounts], "amount_wei": str(amount_wei)}
    if dry_run:
        return Outcome({**told, "dry_run": True})
    return Outcome({**told, "sent": [_told(acting.mint(amount_wei, to=account)) for account in accounts]})


def stake(door: Door, devices: Sequence[PublicKey], amount_wei: Wei, *, dry_run: bool) -> Outcome:
    """Put a bond of ``amount_wei`` behind each device.

    Raises:
        ChainError, KeyFileError, DeploymentError, CommandError: one sentence.
    """
    acting = door.acting()
    _require_tokens(acting, Wei(amount_wei * len(devices)))
    names = [device.did for device in devices]
    told = {"devices": names, "owner": checksum(acting.account), "amount_wei": str(amount_wei)}
    if dry_run:
        return Outcome({**told, "dry_run": True})
    return Outcome({**told, "sent": [_told(acting.stake(device.raw, amount_wei)) for device in devices]})


def unbond(door: Door, device: PublicKey, amount_wei: Wei, *, dry_run: bool) -> Outcome:
    """Begin to take ``amount_wei`` out of the key's own bond on a device.

    Raises:
        ChainError, KeyFileError, DeploymentError: one sentence.
    """
    acting = door.acting()
    wait_s = acting.contract.terms().unbonding_s
    told = {"device": device.did, "owner": checksum(acting.account), "amount_wei": str(amount_wei), "wait_s": wait_s}
    return Outcome({**told, "dry_run": True} if dry_run else {**told, **_told(acting.unbond(device.raw, amount_wei))})


def withdraw(door: Door, device: PublicKey, *, dry_run: bool) -> Outcome:
    """Take back what has finished unbonding of the key's own bond on a device.

    Raises:
        ChainError, KeyFileError, DeploymentError: one sentence.
    """
    acting = door.acting()
    told = {"device": device.did, "owner": checksum(acting.account)}
    return Outcome({**told, "dry_run": True} if dry_run else {**told, **_told(acting.withdraw(device.raw))})


def fund(door: Door, amount_wei: Wei, *, dry_run: bool) -> Outcome:
    """Give tokens to the rewards, for good.

    Raises:
        ChainError, KeyFileError, DeploymentError, CommandError: one sentence.
    """
    acting = door.acting()
    _require_tokens(acting, amount_wei)
    told = {"from": checksum(acting.account), "amount_wei": str(amount_wei)}
    return Outcome({**told, "dry_run": True} if dry_run else {**told, **_told(acting.fund(amount_wei))})


def _readable(terms: Terms) -> dict[str, object]:
    return {
        "token": None if terms.token == TEST_TOKEN else checksum(terms.token),
        "attesters": [checksum(attester) for attester in terms.attesters],
        "quorum": terms.quorum,
        "challenge_seconds": terms.challenge_s,
        "unbonding_seconds": terms.unbonding_s,
        "epoch_cap_wei": str(terms.epoch_cap_wei),
    }


def _require_tokens(acting: RewardsAccount, amount_wei: Wei) -> None:
    held_wei = acting.token_balance_wei()
    if held_wei < amount_wei:
        raise CommandError(
            f"Account {checksum(acting.account)} holds {held_wei} wei of the token, {amount_wei} are needed:"
            " get more, or ask for less."
        )


def _told(mined: Mined) -> dict[str, object]:
    return {
        "transaction": "0x" + mined.transaction_hash.hex(),
        "block": mined.block_number,
        "gas": mined.gas_used,
        "fee_wei": str(mined.fee_wei),
    }
