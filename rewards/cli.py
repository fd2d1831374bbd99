"""`cairn-rewards`: read flags and settings, do one thing, print one JSON object, say the rest on stderr."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import structlog
from eth_account.signers.local import LocalAccount
from pydantic import ValidationError

from rewards.app import RewardService, posted_facts
from rewards.audit import AuditError
from rewards.chain.anvil import AnvilOptions
from rewards.chain.errors import ChainError
from rewards.chain.values import Terms
from rewards.commands import money, proofs
from rewards.commands.door import EXIT_FAILED, CommandError, Door, Outcome
from rewards.commands.node import ChainUp, chain_up, write_ready_file
from rewards.deployment import DeploymentError
from rewards.domain.errors import SettlementError
from rewards.gateway import GatewayError
from rewards.http.server import HttpError
from rewards.keys import KeyFileError, parse_key, read_key
from rewards.parser import build_parser
from rewards.paybook import UnknownError
from rewards.runner import RunnerError
from rewards.settings import RewardsSettings
from rewards.shelf import ShelfError

EXIT_USAGE = 2
_EXPECTED = (
    AuditError,
    ChainError,
    CommandError,
    DeploymentError,
    GatewayError,
    HttpError,
    KeyFileError,
    RunnerError,
    SettlementError,
    ShelfError,
    UnknownError,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0 done, 1 failed, 2 asked wrongly, 3 not the same."""
    options = build_parser().parse_args(arguments)
    _log_to_stderr()
    try:
        settings = _settings(options)
        outcome = _run(options, settings, _door(settings))
    except ValidationError as error:
        for one in error.errors():
            where = ".".join(str(part) for part in one["loc"])
            _say(f"{where}: {one['msg']}" if where else str(one["msg"]))
        return EXIT_USAGE
    except _EXPECTED as error:
        _say(str(error))
        return EXIT_FAILED
    except KeyboardInterrupt:
        return EXIT_FAILED
    json.dump(outcome.answer, sys.stdout)
    sys.stdout.write("\n")
    return outcome.status


def _run(options: argparse.Namespace, settings: RewardsSettings, door: Door) -> Outcome:
    if options.command == "chain":
        return _chain_up(options)
    if options.command == "run":
        return _serve(options, settings, door)
    return _COMMANDS[options.command](door, options)


_COMMANDS: Mapping[str, Callable[[Door, argparse.Namespace], Outcome]] = {
    "audit": lambda door, options: proofs.audit_epochs(door, options.epoch),
    "claim": lambda door, options: proofs.claim(door, options.account, dry_run=options.dry_run),
    "deploy": lambda door, options: money.deploy(
        door, _terms(options), chain_id=options.chain_id, dry_run=options.dry_run
    ),
    "fund": lambda door, options: money.fund(door, options.amount_wei, dry_run=options.dry_run),
    "mint": lambda door, options: money.mint(door, options.amount_wei, to=options.to, dry_run=options.dry_run),
    "prove": lambda door, options: proofs.prove_account(door, options.account, epoch=options.epoch),
    "stake": lambda door, options: money.stake(door, options.device, options.amount_wei, dry_run=options.dry_run),
    "status": lambda door, _: proofs.show_status(door),
    "unbond": lambda door, options: money.unbond(door, options.device, options.amount_wei, dry_run=options.dry_run),
    "withdraw": lambda door, options: money.withdraw(door, options.device, dry_run=options.dry_run),
}


def _chain_up(options: argparse.Namespace) -> Outcome:
    up = ChainUp(
        state_file=options.state,
        options=AnvilOptions(port=options.port, host=options.host, chain_id=options.chain_id),
        beat_s=options.block_time,
        ready_file=options.ready_file,
        keys_folder=options.keys,
    )
    return chain_up(up, environment=os.environ, stop=_stop_on_signals())


def _serve(options: argparse.Namespace, settings: RewardsSettings, door: Door) -> Outcome:
    """Run the service until a signal, or settle once; without a key it computes and shows, but attests nothing."""
    account = None if options.dry_run or not _has_key(settings) else door.key()
    if account is None:
        _say("No key is used: epochs are computed and shown, and nothing is attested.")
    service = RewardService(settings, door.deployment(), account)
    if options.once:
        try:
            posted, reason = service.settle_now()
        finally:
            service.stop()
        _say(reason)
        return Outcome({"posted": [posted_facts(step) for step in posted], "waiting": reason})
    stop = _stop_on_signals()
    url = service.start()
    try:
        _say(f"The page of the reward service is at {url}")
        if options.ready_file is not None:
            write_ready_file(options.ready_file, {"http": url})
        failure = service.wait(stop)
    finally:
        service.stop()
    if failure is not None:
        raise CommandError(failure)
    return Outcome({"http": url, "stopped": True})


def _terms(options: argparse.Namespace) -> Terms:
    return Terms(
        token=options.token or money.TEST_TOKEN,
        attesters=tuple(options.attester),
        quorum=options.quorum,
        challenge_s=options.challenge_seconds,
        unbonding_s=options.unbonding_seconds,
        epoch_cap_wei=options.epoch_cap_wei,
    )


def _settings(options: argparse.Namespace) -> RewardsSettings:
    """Flags are stronger than the environment."""
    named = {name: value for name, value in vars(options).items() if name in RewardsSettings.model_fields}
    return RewardsSettings(**{name: value for name, value in named.items() if value is not None})


def _door(settings: RewardsSettings) -> Door:
    return Door(
        rpc_url=settings.rpc.get_secret_value(),
        deployment_path=settings.deployment,
        hub_url=str(settings.hub),
        reports_url=None if settings.reports is None else str(settings.reports),
        reports_folder=settings.data / "reports",
        key=lambda: _key(settings),
        say=_say,
    )


def _has_key(settings: RewardsSettings) -> bool:
    return settings.key is not None or settings.key_file is not None


def _key(settings: RewardsSettings) -> LocalAccount:
    if settings.key_file is not None:
        return read_key(Path(settings.key_file))
    if settings.key is not None:
        return parse_key(settings.key.get_secret_value(), source="REWARDS_KEY")
    raise KeyFileError("A key is needed: name its file with --key-file or REWARDS_KEY_FILE.")


def _stop_on_signals() -> threading.Event:
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    return stop


def _log_to_stderr() -> None:
    """Events of ours and warnings of libraries: both on stderr, never on stdout."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(name)s: %(message)s")
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
