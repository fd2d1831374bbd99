"""What ties a device to one machine, as the settings say it: where its key is, and what else counts its starts.

Words alone: every process of the agent reads settings, and only the keeper opens these.
"""

from typing import Annotated, Final, Literal

from msgspec import Meta, Struct

_OWN_PREFIX: Final = "CAIRN_EDGE_"  # variables of that name are settings, and a PIN is none


class KeyPlace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Where the key is. The PIN is never a setting: it is read from a file or a variable at each login.

    Raises:
        ValueError: a token is meant, and something to find or open it by is missing.
    """

    source: Literal["file", "pkcs11"] = "file"
    module: str = ""  # path of the token's PKCS#11 module, a shared library
    token: str = ""  # the token's label
    label: str = ""  # the key's label on it
    pin_file: str = ""  # a file with the PIN, readable by its owner alone
    pin_variable: str = ""  # or the name of an environment variable

    def __post_init__(self) -> None:
        if self.source == "file":
            return
        if not (self.module and self.token and self.label):
            raise ValueError("a key in a token needs module, token and label")
        if bool(self.pin_file) == bool(self.pin_variable):
            raise ValueError("a key in a token needs either pin_file or pin_variable")
        if self.pin_variable.startswith(_OWN_PREFIX):
            raise ValueError(f"pin_variable must not begin with {_OWN_PREFIX}: take a name like CAIRN_PIN")


class BootPlace(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Which counter, and how often it goes up."""

    counter: Literal["none", "tpm"] = "none"
    every: Annotated[int, Meta(ge=1, le=10_000)] = 1  # starts for one step: spares a counter that wears out
    tpm_index: Annotated[int, Meta(ge=0x0180_0000, le=0x01BF_FFFF)] = 0x018C_A149  # an NV index of the TPM's owner
    tpm_tcti: str = ""  # where the TPM is, in the words of tpm2-tools; empty: /dev/tpmrm0
