"""What lies in a device's directory, by name. Sequence file and outbox belong to the key beside them."""

from typing import Final

KEY_FILE: Final = "device.key"
KEY_LABEL_FILE: Final = "key.label"  # which key of the token is the device's, after a rotation
SEQUENCE_FILE: Final = "sequence.json"
OUTBOX_FILE: Final = "outbox.db"
OWNER_FILE: Final = "owner.json"
ADOPTION_FILE: Final = "adoption.secret"
BOOTS_FILE: Final = "boots.json"
RETIRED_FOLDER: Final = "retired"
