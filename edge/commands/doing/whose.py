"""What ``cairn-edge id``, ``adopt`` and ``adopt-for`` do."""

import os
import sys
from argparse import Namespace
from typing import Final

from edge.commands.doing.shown import show_code
from edge.commands.words import EXIT_WELL
from edge.owning.adoption import AdoptionError, account_text, owner_of, parse_account, renew_secret, set_owner
from edge.owning.keys import open_signer
from edge.owning.qr import require_picture
from edge.sending.hub_lookup import ask_hub, post_adoption
from edge.settings import load_settings
from protocol.adoption import AdoptionLink, adopt, short_code
from protocol.errors import MalformedError

_LINK_MAX: Final = 2_048


def show(options: Namespace) -> int:
    """Print did:key and short code, a line each; the QR code goes to stderr and, if asked for, to a picture."""
    require_picture(options.qr_file)
    settings = load_settings(options.dir, os.environ)
    device = open_signer(settings.key, options.dir, os.environ).public_key
    owner = owner_of(options.dir, settings)
    if options.new_secret:
        if owner is not None:
            raise AdoptionError(f"this device belongs to {account_text(owner)}: it needs no secret to be adopted by")
        renew_secret(options.dir)
    print(device.did)
    print(short_code(device))
    show_code(
        device, directory=options.dir, network=settings.network, hub_url=settings.hub_url, picture=options.qr_file
    )
    if owner is not None:
        print(f"It belongs to {account_text(owner)}.", file=sys.stderr)
    return EXIT_WELL


def adopt_here(options: Namespace) -> int:
    """Write the owner down in the device's directory."""
    settings = load_settings(options.dir, os.environ)
    owner = parse_account(options.owner)
    if settings.owner:
        raise AdoptionError(f"the settings name the owner {settings.owner}: change `owner` there and start again")
    before = owner_of(options.dir, settings)
    if before is not None and before != owner and not options.replace:
        raise AdoptionError(f"this device belongs to {account_text(before)}: add --replace if it changes hands")
    if before != owner:
        set_owner(options.dir, owner, told_by="console", is_replacing=options.replace)
    print(f"The device in {options.dir} belongs to {account_text(owner)}; start or restart its agent.", file=sys.stderr)
    return EXIT_WELL


def adopt_afar(options: Namespace) -> int:
    """Make the tag and ask the hub to pass it on; print the device's did:key and short code."""
    owner = parse_account(options.owner)
    # From the standard input the secret stays out of the list of running programs and the shell's history.
    text = sys.stdin.readline(_LINK_MAX) if options.link == "-" else options.link
    try:
        hub_url, link = AdoptionLink.parse(text)
    except MalformedError as error:
        raise AdoptionError(f"{error}: copy the whole link that `cairn-edge init` shows") from error
    hub_url = options.hub or hub_url
    if not hub_url:
        raise AdoptionError("the link names no hub: add --hub https://HOST")
    network = ask_hub(hub_url).network
    if network != link.network:
        raise AdoptionError(f"the device belongs to the network {link.network}, {hub_url} to {network}: name its hub")
    post_adoption(hub_url, adopt(link.secret, network=network, device=link.device, owner=owner))
    print(link.device.did)
    print(short_code(link.device))
    print("Sent: the device enrolls as soon as it is running and connected.", file=sys.stderr)
    return EXIT_WELL
