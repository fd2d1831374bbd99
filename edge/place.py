"""What lies where in a device's directory."""

from typing import Final

KEY_FILE: Final = "device.key"
SEQUENCE_FILE: Final = "sequence.json"
OUTBOX_FILE: Final = "outbox.db"
KEY_LABEL_FILE: Final = "key.label"  # which key of the token is the device's, after a rotation
OWNER_FILE: Final = "owner.json"
ADOPTION_FILE: Final = "adoption.secret"
BOOTS_FILE: Final = "boots.json"
RETIRED_FOLDER: Final = "retired"  # what belonged to the keys before, for disputes
MODELS_FOLDER: Final = "models"
PICTURES_FOLDER: Final = "pictures"  # blurred ones that the owner asked for
TRACKS_FILE: Final = "tracks.state"  # what the last run left open
PICTURE_FILE: Final = "latest.png"
PICTURE_WANTED_FILE: Final = "wanted"  # its being there asks for one
ENGINES_FOLDER: Final = "engines"  # what an accelerator has compiled
ADOPTION_PICTURE: Final = "adoption.svg"  # the QR code by which it is adopted; burnt with the secret in it
