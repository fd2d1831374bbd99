"""How a device shows itself: its QR code and its short code, on stderr and in a picture."""

import sys
from pathlib import Path

from edge.owning.adoption import Adoption, short_code
from edge.owning.qr import save_picture, terminal_text
from edge.place import ADOPTION_PICTURE
from protocol.identity import PublicKey


def show_code(device: PublicKey, *, directory: Path, network: str, hub_url: str, picture: Path | None) -> None:
    """Show the QR code: the link by which the device is adopted, or where it can be found once it has an owner.

    Raises:
        AdoptionError: the secret is there and cannot be read.
        QrError: the picture cannot be written.
    """
    link = Adoption.open(directory, network=network, device=device).link
    if link is not None:
        text = link.text(hub_url)
    else:
        text = f"{hub_url.rstrip('/')}/#/devices/{device.name}" if hub_url else device.did
    print(terminal_text(text), file=sys.stderr)
    print(f"Short code: {short_code(device)}", file=sys.stderr)
    if link is not None:
        kept = directory / ADOPTION_PICTURE  # for the page that the device shows of itself
        kept.unlink(missing_ok=True)
        save_picture(text, kept)
        print(f"To adopt it, scan the code or open:\n{text}", file=sys.stderr)
        print("Whoever has this link first is the owner: show it to nobody else.", file=sys.stderr)
    if picture is not None:
        save_picture(text, picture)
