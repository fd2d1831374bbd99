"""`cairn-hub`: data on stdout, talk on stderr, meaning in the exit status.

0: done, or well. 1: it could not be done; one sentence on stderr says what to do. 2: the command line is wrong.
3: `replay` computed other bytes than were published; `check` and `status` found something wrong. 130: Ctrl-C.
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

import httpx
import structlog
from pydantic import ValidationError

from hub.app import Hub, database_url, policy_of, wall_clock
from hub.broker.address import BrokerError
from hub.domain.judging import JudgingError
from hub.home import Genesis, HomeError, HubHome
from hub.http.server import HttpError, url_of
from hub.log.epochs import ArchiveError
from hub.log.errors import LogError
from hub.models import Goods, Shelf, ShelfError, publishers_of
from hub.opening import open_archive, open_closer, open_log
from hub.pinning.pinner import PinningError
from hub.preflight import preflight
from hub.reindex import reindex
from hub.settings import HubSettings
from hub.store.session import StoreError
from hub.store.store import Store
from protocol.modelmanifest import parse_head
from protocol.modeloffer import ModelOffer
from protocol.units import UnixMs

EXIT_OK: Final = 0
EXIT_FAILED: Final = 1
EXIT_WRONG: Final = 3
EXIT_INTERRUPTED: Final = 130
_EXPECTED: Final = (
    ArchiveError,
    BrokerError,
    HomeError,
    HttpError,
    JudgingError,
    LogError,
    PinningError,
    ShelfError,
    StoreError,
)
# flag, setting, what it says
_FLAGS: Final = (
    ("--data", "data", "the hub's folder"),
    ("--network", "network", "name of the network"),
    ("--name", "name", "what people call this hub"),
    ("--database", "database_url", "sqlite:///PATH or postgresql+pg8000://USER:PASSWORD@HOST/NAME"),
    ("--broker", "broker_url", "mqtt://HOST:PORT of another broker than the embedded one"),
    ("--mqtt-host", "mqtt_host", "address the embedded broker listens on"),
    ("--mqtt-port", "mqtt_port", "its port; 0 takes a free one"),
    ("--mqtt-public-host", "mqtt_public_host", "the broker's address as devices elsewhere reach it"),
    ("--http-host", "http_host", "address the pages and the API are served on"),
    ("--http-port", "http_port", "its port; 0 takes a free one"),
    ("--epoch-seconds", "epoch_seconds", "length of an epoch (at init)"),
    ("--genesis-ms", "genesis_ms", "when epoch 1 begins, in ms since 1970 (at init)"),
    ("--chain-rpc", "chain_rpc", "JSON-RPC address of the chain whose blocks are the beacon"),
    ("--beacon-seconds", "beacon_seconds", "how often to look for a new beacon"),
    ("--max-clock-skew-seconds", "max_clock_skew_seconds", "how far a device's clock may be ahead"),
    ("--beacon-window-seconds", "beacon_window_seconds", "how old an envelope's beacon may be"),
    ("--max-lateness-seconds", "max_lateness_seconds", "how late an envelope may arrive"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return its exit status."""
    structlog.configure(logger_factory=lambda *_: structlog.PrintLogger(sys.stderr))
    options = build_parser().parse_args(arguments)
    run: Callable[[argparse.Namespace, HubSettings], int] = options.run
    try:
        given = {setting: value for _, setting, _ in _FLAGS if (value := getattr(options, setting, None)) is not None}
        return run(options, HubSettings(**given))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        print(f"cairn-hub: {where + ': ' if where else ''}{first['msg']}", file=sys.stderr)
        return EXIT_FAILED
    except _EXPECTED as error:
        print(f"cairn-hub: {error}", file=sys.stderr)
        return EXIT_FAILED
    except KeyboardInterrupt:
        print("cairn-hub: stopped half-way; nothing is lost, run it again", file=sys.stderr)
        return EXIT_INTERRUPTED


def _init(_: argparse.Namespace, settings: HubSettings) -> int:
    home = _founded(settings)
    genesis = home.genesis()
    json.dump({"data": str(home.folder), "hub": home.signer().public_key.did, **asdict(genesis)}, sys.stdout)
    print()
    print(f"Keep a copy of {home.folder / 'hub.key'}: receipts are only worth what that key is.", file=sys.stderr)
    return EXIT_OK


def _serve(options: argparse.Namespace, settings: HubSettings) -> int:
    hub = Hub(settings, _founded(settings))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    ready = hub.start()
    try:
        print(f"pages and API   {ready.http}", file=sys.stderr)
        print(f"devices (MQTT)  {ready.mqtt_host}:{ready.mqtt_port}", file=sys.stderr)
        print(f"hub             {ready.hub}, network {ready.network}", file=sys.stderr)
        if options.ready_file is not None:
            _write_whole(options.ready_file, json.dumps(asdict(ready)))
        failure = hub.wait(stop)
    finally:
        print("stopping", file=sys.stderr)
        hub.stop()
    if failure is not None:
        print(f"cairn-hub: {failure}", file=sys.stderr)
        return EXIT_FAILED
    return EXIT_OK


def _replay(options: argparse.Namespace, settings: HubSettings) -> int:
    home = HubHome(settings.data)
    replay = open_archive(home, home.signer()).replay(options.epoch)
    outcome = {
        "epoch": replay.epoch,
        "verdicts": str(replay.computed_verdicts),
        "manifest": str(replay.computed),
        "same": replay.is_same,
    }
    json.dump(outcome, sys.stdout)
    print()
    if not replay.is_same:
        published = f"manifest {replay.published}, verdicts {replay.published_verdicts}"
        print(f"cairn-hub: the log does not give what was published ({published})", file=sys.stderr)
    return EXIT_OK if replay.is_same else EXIT_WRONG


def _reindex(_: argparse.Namespace, settings: HubSettings) -> int:
    home = HubHome(settings.data)
    signer = home.signer()
    segment_log = open_log(home, signer, policy_of(settings), wall_clock())  # nobody may write meanwhile
    store = Store.open(database_url(settings, home))
    try:
        batches = reindex(store, home.segments, signer.public_key, lambda n: print(f"batch {n}", file=sys.stderr))
        closer = open_closer(home, signer, store)
        epochs = closer.close_until(open_archive(home, signer).last_closed() + 1, threading.Event())
    finally:
        store.database.close()
        segment_log.close()
    json.dump({"batches": batches, "epochs": epochs}, sys.stdout)
    print()
    return EXIT_OK


def _status(_: argparse.Namespace, settings: HubSettings) -> int:
    url = f"{url_of(settings.http_host, settings.http_port)}/v1/health"
    try:
        answer = httpx.get(url, timeout=5)
        answer.raise_for_status()
        health = answer.json()
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        print(f"cairn-hub: no hub answers at {url} ({error}): start it with `cairn-hub serve`", file=sys.stderr)
        return EXIT_FAILED
    json.dump(health, sys.stdout, indent=2)
    print()
    return EXIT_OK if health.get("status") == "ok" else EXIT_WRONG


def _check(_: argparse.Namespace, settings: HubSettings) -> int:
    findings = preflight(
        HubHome(settings.data),
        database_url=database_url(settings, HubHome(settings.data)),
        broker_url=None if settings.broker_url is None else settings.broker_url.get_secret_value(),
        chain_rpc=None if settings.chain_rpc is None else settings.chain_rpc.get_secret_value(),
        ports={"http": (settings.http_host, settings.http_port), "mqtt": (settings.mqtt_host, settings.mqtt_port)},
    )
    for finding in findings:
        print(f"{'ok  ' if finding.is_well else 'FAIL'} {finding.what}: {finding.says}")
    return EXIT_OK if all(finding.is_well for finding in findings) else EXIT_WRONG


def _model_offer(options: argparse.Namespace, settings: HubSettings) -> int:
    home = HubHome(settings.data)
    goods = Goods(options.manifest, options.signatures, options.file, options.selftest, tuple(options.source))
    network, signer = home.genesis().network, home.signer()
    offer = Shelf(home.models).offer(
        goods, percent=options.percent, network=network, signer=signer, now_ms=wall_clock()
    )
    if not offer.approvals:
        print("No publisher has signed it: devices take it only if it ships with their agent.", file=sys.stderr)
    return _say_offer(offer)


def _model_withdraw(_: argparse.Namespace, settings: HubSettings) -> int:
    home = HubHome(settings.data)
    return _say_offer(Shelf(home.models).withdraw(signer=home.signer(), now_ms=wall_clock()))


def _model_status(_: argparse.Namespace, settings: HubSettings) -> int:
    standing = Shelf(HubHome(settings.data).models).standing()
    return _say_offer(None if standing is None else standing[1])


def _say_offer(offer: ModelOffer | None) -> int:
    said: dict[str, object] = {"offer": None}
    if offer is not None:
        head = parse_head(offer.manifest)
        said["offer"] = {
            "name": head.name,
            "version": head.version,
            "sha256": head.sha256,
            "rollback_index": head.rollback_index,
            "expires": str(head.expires),
            "publishers": [key.did for key in publishers_of(offer)],
            "percent": offer.percent,
            "issued_at_ms": offer.issued_at_ms,
        }
    json.dump(said, sys.stdout)
    print()
    return EXIT_OK


def _percent(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 100:
        raise ValueError(text)
    return number


def _founded(settings: HubSettings) -> HubHome:
    """Set the hub up if it is not; where it is, only what was said explicitly has to fit."""
    home = HubHome(settings.data)
    wanted = Genesis(
        settings.network,
        UnixMs(wall_clock() if settings.genesis_ms is None else settings.genesis_ms),
        settings.epoch_seconds * 1_000,
    )
    if home.is_founded:
        stands = home.genesis()
        said = settings.model_fields_set
        wanted = Genesis(
            wanted.network if "network" in said else stands.network,
            wanted.genesis_ms if "genesis_ms" in said else stands.genesis_ms,
            wanted.epoch_ms if "epoch_seconds" in said else stands.epoch_ms,
        )
    home.found(wanted)
    return home


def _write_whole(path: Path, content: str) -> None:
    arriving = path.with_name(path.name + ".part")
    try:
        arriving.write_text(content)
        arriving.replace(path)
    except OSError as error:
        raise HomeError(f"cannot write --ready-file {path}: {error.strerror}") from error


def build_parser() -> argparse.ArgumentParser:
    """Return the command line, words and flags only."""
    parser = argparse.ArgumentParser(
        prog="cairn-hub",
        description="Run a hub: take in what devices sign, keep it, judge it, publish it.",
        epilog="Flags may also come from the environment: --http-port is HUB_HTTP_PORT, --broker is HUB_BROKER_URL, "
        "--database is HUB_DATABASE_URL.",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    _command(commands, "init", _init, "make a hub's folder and key", "cairn-hub init --data hub --network my-town")
    serve = _command(commands, "serve", _serve, "run the hub", "cairn-hub serve --data hub --http-port 8080")
    serve.add_argument("--ready-file", type=Path, metavar="PATH", help="write a JSON object there once all is up")
    replay = _command(
        commands, "replay", _replay, "compute an epoch again from the log alone", "cairn-hub replay 7 --data hub"
    )
    replay.add_argument("epoch", type=int, help="its number, from 1")
    _command(commands, "reindex", _reindex, "build the database again from the log", "cairn-hub reindex --data hub")
    _command(commands, "status", _status, "ask a running hub how it is", "cairn-hub status --http-port 8080")
    _command(commands, "check", _check, "look for what would keep the hub from running", "cairn-hub check --data hub")
    _add_model(commands)
    return parser


def _add_model(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    says, example = "offer a model to the devices", "cairn-hub model status --data hub"
    kinds = commands.add_parser("model", help=says, epilog=f"Example: {example}").add_subparsers(
        required=True, metavar="COMMAND"
    )
    example = "cairn-hub model offer --manifest door.toml --file door.onnx --selftest door.png --percent 10 --data hub"
    offer = _command(kinds, "offer", _model_offer, "offer a signed model to a part of the devices", example)
    offer.add_argument(
        "--manifest", type=Path, required=True, metavar="NAME.toml", help="the manifest, as it was signed"
    )
    offer.add_argument("--signatures", type=Path, metavar="FILE", help="default: NAME.sig.json beside the manifest")
    offer.add_argument("--file", type=Path, required=True, metavar="NAME.onnx", help="the model")
    offer.add_argument("--selftest", type=Path, required=True, metavar="PICTURE", help="the self-test picture")
    offer.add_argument("--percent", type=_percent, required=True, metavar="0..100", help="how many devices take it")
    offer.add_argument("--source", action="append", default=[], metavar="URL", help="https://...{sha256} or {cid}")
    withdraw = "offer it to nobody; devices that run it keep it"
    _command(kinds, "withdraw", _model_withdraw, withdraw, "cairn-hub model withdraw --data hub")
    _command(kinds, "status", _model_status, "say what is offered", "cairn-hub model status --data hub")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    run: Callable[[argparse.Namespace, HubSettings], int],
    says: str,
    example: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=says, description=f"{says[0].upper()}{says[1:]}.", epilog=f"Example: {example}"
    )
    command.set_defaults(run=run)
    for flag, setting, meaning in _FLAGS:
        command.add_argument(flag, dest=setting, metavar="X", help=meaning)
    return command


if __name__ == "__main__":
    sys.exit(main())
