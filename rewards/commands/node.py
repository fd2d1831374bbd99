"""`cairn-rewards chain up`: a local chain in the foreground, with its play-money keys."""

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from eth_account import Account
from eth_account.signers.local import LocalAccount

from rewards.chain.anvil import TEST_MNEMONIC, AnvilOptions, start_anvil
from rewards.chain.anvil_binary import find_anvil
from rewards.chain.errors import NodeFailedError
from rewards.commands.door import CommandError, Outcome
from rewards.keys import write_key

PLAY_ACCOUNTS = 10


@dataclass(frozen=True, slots=True)
class ChainUp:
    """How to run the local chain, and what to write for whoever waits for it."""

    state_file: Path
    options: AnvilOptions
    beat_s: float
    ready_file: Path | None
    keys_folder: Path | None

    def __post_init__(self) -> None:
        if not 0.1 <= self.beat_s <= 3_600:
            raise CommandError("The block time must be between 0.1 and 3600 seconds.")


def chain_up(up: ChainUp, *, environment: Mapping[str, str], stop: threading.Event) -> Outcome:
    """Run the node until ``stop`` is set.

    Transactions are mined at once, and every ``up.beat_s`` a block without any: an epoch is settled on the first block
    after its end, so time must go on where nobody sends anything.

    Raises:
        ChainError: the node is missing, did not start, or stopped by itself.
        KeyFileError: the keys cannot be written.
    """
    accounts = play_accounts(up.options.mnemonic)
    if up.keys_folder is not None:
        for number, account in enumerate(accounts):
            write_key(up.keys_folder / f"account-{number}.key", account)
    with start_anvil(find_anvil(environment), up.state_file, up.options) as anvil:
        told = {
            "rpc": anvil.url,
            "chain_id": up.options.chain_id,
            "accounts": [account.address for account in accounts],
            "keys": None if up.keys_folder is None else str(up.keys_folder),
        }
        if up.ready_file is not None:
            write_ready_file(up.ready_file, told)
        while not stop.wait(up.beat_s):
            if anvil.process.poll() is not None:
                raise NodeFailedError(f"The local node stopped by itself: see {up.state_file}.log.")
            anvil.rpc("evm_mine")
    return Outcome(told)


def play_accounts(mnemonic: str = TEST_MNEMONIC) -> tuple[LocalAccount, ...]:
    """Return the accounts that are rich on a local chain, and worth nothing anywhere else."""
    Account.enable_unaudited_hdwallet_features()
    return tuple(
        Account.from_mnemonic(mnemonic, account_path=f"m/44'/60'/0'/0/{number}") for number in range(PLAY_ACCOUNTS)
    )


def write_ready_file(path: Path, facts: Mapping[str, object]) -> None:
    """Write ``facts`` whole or not at all: somebody is waiting for the file.

    Raises:
        CommandError: the disk did not take it.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(path.name + ".part")
        partial.write_text(json.dumps(facts) + "\n", "utf-8")
        partial.replace(path)
    except OSError as error:
        raise CommandError(f"The ready file {path} cannot be written: {error.strerror}.") from error
