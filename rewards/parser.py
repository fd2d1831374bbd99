"""The command line of `cairn-rewards`: words and flags, nothing that happens."""

import argparse
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final, TypeVar

from protocol.errors import MalformedError
from protocol.identity import PublicKey
from protocol.units import Wei
from rewards.addresses import AddressError, parse_address
from rewards.chain.anvil import AnvilOptions

T = TypeVar("T")
_TOKEN_DIGITS: Final = 18
_LOCAL: Final = AnvilOptions()
_TOKENS: Final = 10**_TOKEN_DIGITS


def build_parser() -> argparse.ArgumentParser:
    """Return the parser. Flags left out are None (or False), so that settings may fill them in."""
    parser = argparse.ArgumentParser(
        prog="cairn-rewards",
        description="Settle epochs, pay contributors, and let anybody check every wei.",
        epilog="Every flag of a setting has a variable too: --hub is REWARDS_HUB. Example: cairn-rewards status",
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_chain(commands)
    _add_deploy(commands)
    _add_money(commands)
    _add_run(commands)
    _add_reading(commands)
    return parser


Commands = argparse._SubParsersAction  # noqa: SLF001 - argparse has no public name for it


def _add(commands: "Commands[argparse.ArgumentParser]", name: str, says: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(name, help=says, description=says, epilog=f"Example: cairn-rewards {name} {example}")


def _add_chain(commands: "Commands[argparse.ArgumentParser]") -> None:
    chain = _add(commands, "chain", "Run a local chain.", "up --state chain/state --keys chain/keys")
    up = chain.add_subparsers(dest="chain_command", required=True).add_parser(
        "up",
        help="Run an EVM node in the foreground until Ctrl-C.",
        epilog="Example: cairn-rewards chain up --state chain/state --keys chain/keys --port 8545",
    )
    up.add_argument("--state", type=Path, required=True, help="the file that keeps the chain between runs")
    up.add_argument("--host", default=_LOCAL.host, help="the address it listens on (default: this machine only)")
    up.add_argument("--port", type=int, default=_LOCAL.port, help="0 takes a free one")
    up.add_argument("--chain-id", type=int, default=_LOCAL.chain_id)
    up.add_argument("--block-time", type=float, default=1.0, help="seconds between blocks without transactions")
    up.add_argument("--keys", type=Path, help="folder for the play-money keys, account-0.key to account-9.key")
    up.add_argument("--ready-file", type=Path, help="written once the node answers: {rpc, chain_id, accounts, keys}")


def _add_deploy(commands: "Commands[argparse.ArgumentParser]") -> None:
    deploy = _add(commands, "deploy", "Put a contract on the chain.", "--key-file account-0.key --challenge-seconds 0")
    _add_chain_flags(deploy)
    _add_key_flags(deploy)
    deploy.add_argument("--chain-id", type=int, default=_LOCAL.chain_id)
    deploy.add_argument("--token", type=_typed(parse_address), help="the pay token; left out, a test token is deployed")
    deploy.add_argument(
        "--attester",
        type=_typed(parse_address),
        action="append",
        default=[],
        help="an account that may attest; again for more; left out, the deploying account",
    )
    deploy.add_argument("--quorum", type=int, default=1, help="how many attesters must say the same")
    deploy.add_argument("--challenge-seconds", type=int, default=86_400, help="how long a root stays pending")
    deploy.add_argument("--unbonding-seconds", type=int, default=14 * 86_400, help="how long a leaving bond stays")
    deploy.add_argument("--epoch-cap-wei", type=_typed(_wei), default=Wei(1_000 * _TOKENS))


def _add_money(commands: "Commands[argparse.ArgumentParser]") -> None:
    mint = _add(commands, "mint", "Make test tokens.", "--amount 1000 --key-file account-1.key")
    mint.add_argument(
        "--to",
        type=_typed(parse_address),
        action="append",
        default=[],
        help="whom to give them; again for more; left out, the key's account",
    )
    stake = _add(commands, "stake", "Put a bond behind a device.", "--device did:key:z6Mk... --amount 10")
    stake.add_argument(
        "--device",
        type=_typed(PublicKey.parse),
        action="append",
        required=True,
        help="did:key:z6Mk...; again for more",
    )
    fund = _add(commands, "fund", "Give tokens to the rewards, for good.", "--amount 100000 --key-file account-0.key")
    unbond = _add(commands, "unbond", "Begin to take a bond back.", "--device did:key:z6Mk... --amount 10")
    withdraw = _add(commands, "withdraw", "Take back what has finished unbonding.", "--device did:key:z6Mk...")
    for command in (unbond, withdraw):
        command.add_argument("--device", type=_typed(PublicKey.parse), required=True, help="did:key:z6Mk...")
    _add_chain_flags(withdraw)
    _add_key_flags(withdraw)
    for command in (mint, stake, unbond, fund):
        _add_chain_flags(command)
        _add_key_flags(command)
        amount = command.add_mutually_exclusive_group(required=True)
        amount.add_argument("--amount", type=_typed(_tokens), dest="amount_wei", help="in tokens: 2.5")
        amount.add_argument("--amount-wei", type=_typed(_wei), dest="amount_wei", help="in wei of the token")
    claim = _add(commands, "claim", "Have an account paid.", "--account 0xf39F... --key-file account-1.key")
    claim.add_argument("--account", type=_typed(parse_address), help="who is paid; left out, the key's account")
    _add_chain_flags(claim)
    _add_key_flags(claim)
    _add_gateway_flags(claim)


def _add_run(commands: "Commands[argparse.ArgumentParser]") -> None:
    run = _add(commands, "run", "Settle and attest every epoch, and serve the page.", "--key-file account-0.key")
    _add_chain_flags(run)
    _add_key_flags(run)
    _add_gateway_flags(run)
    run.add_argument("--data", type=Path, help="folder for reports; may be deleted at any time")
    run.add_argument("--http-host")
    run.add_argument("--http-port", type=int, help="0 takes a free one")
    run.add_argument("--public-rpc", help="the address of a node that the page may tell visitors about")
    run.add_argument("--poll-seconds", type=float, help="how often to look for a closed epoch")
    run.add_argument("--once", action="store_true", help="settle what can be settled now, and exit")
    run.add_argument("--ready-file", type=Path, help="written once the page is served: {http}")


def _add_reading(commands: "Commands[argparse.ArgumentParser]") -> None:
    status = _add(commands, "status", "Show the contract: roots, purses, terms.", "--deployment deployment.json")
    _add_chain_flags(status)
    prove = _add(commands, "prove", "Prove what an account earned.", "--account 0xf39F... --epoch 2")
    prove.add_argument("--account", type=_typed(parse_address), required=True)
    prove.add_argument("--epoch", type=int, help="left out, the epoch claims are paid on")
    audit = _add(commands, "audit", "Recompute epochs 1 to N: exit 0 if the roots are the same, 3 if not.", "2")
    audit.add_argument("epoch", type=int, nargs="?", metavar="N", help="left out, the last posted epoch")
    for command in (prove, audit):
        _add_chain_flags(command)
        _add_gateway_flags(command)


def _add_chain_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("--rpc", help="the address of a node of the chain")
    command.add_argument("--deployment", type=Path, help="the file that says which contract on which chain")


def _add_key_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("--key-file", type=Path, help="a file of mode 0600 with the private key in hex")
    command.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")


def _add_gateway_flags(command: argparse.ArgumentParser) -> None:
    command.add_argument("--hub", "--gateway", dest="hub", help="where the hub, or any gateway to its bytes, answers")
    command.add_argument("--reports", help="a reward service that serves reports")


def _typed(parse: Callable[[str], T]) -> Callable[[str], T]:
    """Make the sentence of a parsing error the sentence that argparse shows."""

    def parsed(text: str) -> T:
        try:
            return parse(text)
        except (AddressError, MalformedError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {error}") from error

    return parsed


def _wei(text: str) -> Wei:
    if not text.isascii() or not text.isdigit() or int(text) == 0:
        raise ValueError("a whole number of wei above zero is expected")
    return Wei(int(text))


def _tokens(text: str) -> Wei:
    try:
        wei = Decimal(text).scaleb(_TOKEN_DIGITS)
        if not wei.is_finite() or wei <= 0 or wei != wei.to_integral_value():
            raise ValueError("an amount of tokens above zero, with at most 18 decimals, is expected")
    except InvalidOperation as error:
        raise ValueError("an amount of tokens is expected, such as 2.5") from error
    return Wei(int(wei))
