"""``init``, ``id``, ``adopt``, ``adopt-for``, ``rotate-key``: which key a device has, and whose it is."""

from argparse import ArgumentParser
from pathlib import Path
from typing import Final

from edge.commands.words import Verbs, add_command, later

_ACCOUNT: Final = "0x90F79bf6EB2c4f870365E785982E1f101E93b906"


def add_to(verbs: Verbs, common: ArgumentParser) -> None:
    """Add the commands."""
    _add_init(verbs, common)
    _add_id(verbs, common)
    _add_adopt(verbs, common)
    _add_adopt_for(verbs, common)
    _add_rotate_key(verbs, common)


def _add_init(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "init",
        later("edge.commands.doing.found:init"),
        says="make a device: key, sequence file, settings, and the QR code by which its owner adopts it",
        example="init --dir ./door --hub http://127.0.0.1:8080 --camera webcam:0 --lat 52.520008 --lon 13.404954",
    )
    parser.add_argument("--hub", metavar="URL", help="learn network, hub key and broker from this hub")
    parser.add_argument("--network", help="the network's name, without --hub")
    parser.add_argument("--hub-key", metavar="DID", help="did:key of the hub; with --hub: must be this one")
    parser.add_argument("--broker-host", metavar="HOST", help="the MQTT broker, if not the one the hub names")
    parser.add_argument("--broker-port", metavar="PORT", type=int)
    parser.add_argument(
        "--owner", default="", metavar="0x...", help="the contributor's account; without it the device waits for one"
    )
    parser.add_argument("--camera", default="webcam:0", metavar="SOURCE", help="webcam:0, rtsp://..., a file, a folder")
    parser.add_argument("--model", default="yolox-nano", help="name in the model store, or path of an .onnx file")
    parser.add_argument("--lat", required=True, metavar="DEGREES", help="latitude, decimal degrees")
    parser.add_argument("--lon", required=True, metavar="DEGREES", help="longitude, decimal degrees")
    parser.add_argument("--accuracy-m", default="10", metavar="M", help="how well that is known (default 10)")
    parser.add_argument("--heading", metavar="DEGREES", help="where it looks, clockwise from north")
    parser.add_argument(
        "--grid-udeg", type=int, default=1_000, metavar="UDEG", help="how coarse to publish (default 1000, about 111 m)"
    )
    _add_qr_file(parser)
    token = parser.add_argument_group("a key in a token that knows Ed25519 (HSM, smart card) instead of a file")
    token.add_argument("--key-module", default="", metavar="PATH", help="the token's PKCS#11 module")
    token.add_argument("--key-token", default="", metavar="LABEL", help="the token's label")
    token.add_argument("--key-label", default="cairn", metavar="LABEL", help="the key's label (default cairn)")
    token.add_argument("--key-pin-file", default="", metavar="FILE", help="a file that holds the PIN, mode 0600")
    token.add_argument("--key-pin-variable", default="", metavar="NAME", help="or the variable that holds it")
    token.add_argument(
        "--key-is-unused", action="store_true", help="take the key that is there: it never signed an envelope"
    )


def _add_id(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "id",
        later("edge.commands.doing.whose:show"),
        says="print who the device is: did:key, short code; and its QR code",
        example="id --dir ./door --qr-file label.svg",
    )
    _add_qr_file(parser)
    parser.add_argument(
        "--new-secret", action="store_true", help="make the QR codes printed so far worthless; the device has no owner"
    )


def _add_adopt(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "adopt",
        later("edge.commands.doing.whose:adopt_here"),
        says="tell this device, at its own console, whose it is",
        example=f"adopt --dir ./door --owner {_ACCOUNT}",
    )
    parser.add_argument("--owner", required=True, metavar="0x...", help="the contributor's account")
    parser.add_argument("--replace", action="store_true", help="the device has another owner by now")


def _add_adopt_for(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "adopt-for",
        later("edge.commands.doing.whose:adopt_afar"),
        says="adopt a device from afar, by the link in its QR code; what the hub's page does, without a browser",
        example=f"adopt-for - --owner {_ACCOUNT} < link.txt",
    )
    parser.add_argument("link", metavar="LINK", help="https://HUB/adopt#...; -: read it from the standard input")
    parser.add_argument("--owner", required=True, metavar="0x...", help="the contributor's account")
    parser.add_argument("--hub", default="", metavar="URL", help="the hub, if the link names none or another way there")


def _add_rotate_key(verbs: Verbs, common: ArgumentParser) -> None:
    parser = add_command(
        verbs,
        common,
        "rotate-key",
        later("edge.commands.doing.rotate:rotate_key"),
        says="let the device go on under a new key, which the old one names in its last envelope",
        example="rotate-key --dir ./door --wait-s 120",
    )
    parser.add_argument("--abandon", action="store_true", help="give up, and say so, what has no receipt yet")
    parser.add_argument(
        "--later", action="store_true", help="keep the old key until its last envelope is receipted; do not wait for it"
    )
    parser.add_argument("--wait-s", type=int, default=60, metavar="S", help="how long to wait for the hub (default 60)")
    parser.add_argument("--key-label", default="", metavar="LABEL", help="the new key's label, if keys are in a token")
    _add_qr_file(parser)


def _add_qr_file(parser: ArgumentParser) -> None:
    parser.add_argument("--qr-file", type=Path, metavar="FILE", help="save the QR code as .svg or .png too")
