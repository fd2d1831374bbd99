"""What ``cairn-edge init`` does."""

import os
import sys
from argparse import Namespace
from typing import Final

from edge.commands.doing.shown import show_code
from edge.commands.words import EXIT_WELL
from edge.owning.adoption import create_secret, owner_of
from edge.owning.qr import require_picture
from edge.owning.setup import SetupError, found, key_with_sequence, scaled, toml_text
from edge.place import KEY_FILE
from edge.sending.hub_lookup import ask_hub, is_private_line
from edge.settings import SETTINGS_FILE, EdgeSettings, settings_of
from protocol.identity import Signer

_HEADER: Final = """Settings of one Cairn device; `cairn-edge doctor` checks them.
Every value can be overridden by CAIRN_EDGE_<TABLE>_<NAME> in the environment."""


def init(options: Namespace) -> int:
    """Make a device; print its did:key."""
    require_picture(options.qr_file)
    tables = _tables(options)
    settings = settings_of(tables, {}, origin="the command line")

    def make_key() -> Signer:
        signer = key_with_sequence(settings.key, options.dir, os.environ, is_unused=options.key_is_unused)
        if owner_of(options.dir, settings) is None:
            create_secret(options.dir)
        return signer

    text = toml_text(tables, header=_HEADER)
    key = found(options.dir, text, settings_name=SETTINGS_FILE, make_key=make_key).public_key
    print(key.did)
    show_code(key, directory=options.dir, network=settings.network, hub_url=settings.hub_url, picture=options.qr_file)
    _say_what_comes_next(options, settings)
    return EXIT_WELL


def _say_what_comes_next(options: Namespace, settings: EdgeSettings) -> None:
    lines = [f"The device is in {options.dir}."]
    if settings.key.source == "file":
        lines[0] += f" Keep a copy of {KEY_FILE} in a safe place."
    lines.append(
        f"Next: `cairn-edge model add {options.model}` unless you have it, `cairn-edge doctor`, then `cairn-edge run`, "
        f"each with --dir {options.dir}."
    )
    owner = settings.owner or "its owner"
    lines.append(f"To be paid, {owner} must hold a bond for this device's key.")
    print("\n".join(lines), file=sys.stderr)


def _tables(options: Namespace) -> dict[str, object]:
    network, hub, host, port = _network_of(options)
    tables: dict[str, object] = {"network": network, "hub": hub}
    tables |= {"owner": options.owner} if options.owner else {}
    tables |= {"hub_url": options.hub} if options.hub else {}
    tables |= _key_table(options)
    return tables | {
        "broker": {"host": host, "port": port},
        "camera": {"source": options.camera},
        "model": {"name": options.model},
        "position": {
            "lat_udeg": scaled(options.lat, by=1_000_000, name="--lat"),
            "lon_udeg": scaled(options.lon, by=1_000_000, name="--lon"),
            "accuracy_mm": scaled(options.accuracy_m, by=1_000, name="--accuracy-m"),
            "heading_mdeg": -1 if options.heading is None else scaled(options.heading, by=1_000, name="--heading"),
            "grid_udeg": options.grid_udeg,
        },
    }


def _key_table(options: Namespace) -> dict[str, object]:
    if not options.key_module:
        return {}
    return {
        "key": {
            "source": "pkcs11",
            "module": options.key_module,
            "token": options.key_token,
            "label": options.key_label,
            **({"pin_file": options.key_pin_file} if options.key_pin_file else {}),
            **({"pin_variable": options.key_pin_variable} if options.key_pin_variable else {}),
        }
    }


def _network_of(options: Namespace) -> tuple[str, str, str, int]:
    """Return the network, the hub's did:key, and the broker's host and port."""
    if not options.hub:
        if not (options.network and options.hub_key and options.broker_host):
            raise SetupError("say which hub: --hub http://HOST:PORT, or --network, --hub-key and --broker-host")
        return options.network, options.hub_key, options.broker_host, options.broker_port or 1883
    asked = ask_hub(options.hub)
    if options.hub_key and options.hub_key != asked.hub:
        raise SetupError(f"{options.hub} is the hub {asked.hub}, not {options.hub_key}: check both")
    if not options.hub_key and not is_private_line(options.hub):
        print(
            f"The hub's key {asked.hub} came over a line anybody can change: compare it with the operator's.",
            file=sys.stderr,
        )
    host, port = options.broker_host or asked.broker.host, options.broker_port or asked.broker.port
    return options.network or asked.network, options.hub_key or asked.hub, host, port
