"""A device key that never leaves its token: an HSM, a smart card, a secure element, by its PKCS#11 module.

The token must know Ed25519. Many do not, above all TPMs: tpm2-pkcs11 1.9 offers RSA and ECDSA alone (tried on swtpm).
Such a one is told from the others at `init`, by a sentence.

Ed25519 through CKM_EDDSA (PKCS#11 3.0; OASIS), pure, without context. The token makes the key, marks it sensitive and
not extractable, and signs. What goes wrong drops the session; the next signature opens a new one, so a token that was
pulled out goes on when it is back. Import this module only where a token is configured: it needs the extra ``[hsm]``.
"""

import threading
from collections.abc import Callable
from typing import Any, Final

import pkcs11
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass
from pkcs11.exceptions import (
    MechanismInvalid,
    MultipleObjectsReturned,
    MultipleTokensReturned,
    NoSuchKey,
    NoSuchToken,
    PinExpired,
    PinIncorrect,
    PinInvalid,
    PinLenRange,
    PinLocked,
    PKCS11Error,
    UserAlreadyLoggedIn,
    UserPinNotInitialized,
)

from edge.owning.identity import IdentityError
from protocol.identity import PublicKey

_ED25519: Final = bytes.fromhex("06032b6570")  # the curve as EC_PARAMS: OBJECT IDENTIFIER 1.3.101.112
_POINT_HEAD: Final = bytes.fromhex("0420")  # tokens of before PKCS#11 3.0 wrap the point in an OCTET STRING
_POINT_BYTES: Final = 32
_SIGNATURE_BYTES: Final = 64
_PIN_TROUBLES: Final = (PinIncorrect, PinInvalid, PinLenRange, PinLocked, PinExpired, UserPinNotInitialized)


class TokenError(IdentityError):
    """The token, its module, its PIN or its key; the message says what to do and never shows the PIN."""


class KeyToken:
    """One token and the one session on it. May be used from several threads."""

    def __init__(self, module: str, label: str, *, pin: Callable[[], str]) -> None:
        """Name the PKCS#11 ``module`` (a path) and the token's ``label``; ``pin`` is asked at each login, never kept.

        Nothing is opened yet.
        """
        self._module = module
        self._label = label
        self._pin = pin
        self._lock = threading.Lock()
        self._library: Any = None
        self._session: Any = None
        self._private: dict[str, Any] = {}  # keys found in this session
        self._pin_trouble: str | None = None

    def find(self, key_label: str) -> "TokenSigner | None":
        """Return the key with that label; None if the token holds none.

        Raises:
            TokenError: no module, no token, a wrong PIN, or what is there is no Ed25519 key.
        """
        with self._lock:
            raw = self._public(key_label)
        return None if raw is None else TokenSigner(self, key_label, PublicKey.of_raw(raw))

    def load(self, key_label: str) -> "TokenSigner":
        """Return the key with that label.

        Raises:
            TokenError: see `find`; also if the token holds none.
        """
        found = self.find(key_label)
        if found is None:
            raise TokenError(
                f"the token {self._label!r} holds no Ed25519 key {key_label!r}: name the right one in [key] label, or "
                f"make it with `cairn-edge init`"
            )
        return found

    def create(self, key_label: str) -> "TokenSigner":
        """Let the token make a new key under that label.

        Raises:
            TokenError: see `find`; also if there is one already, or the token cannot make Ed25519 keys.
        """
        with self._lock:
            if self._public(key_label) is not None:
                raise TokenError(f"the token {self._label!r} already holds a key {key_label!r}: choose another label")
            try:
                self._opened().create_domain_parameters(
                    KeyType.EC_EDWARDS, {Attribute.EC_PARAMS: _ED25519}, local=True
                ).generate_keypair(mechanism=Mechanism.EC_EDWARDS_KEY_PAIR_GEN, label=key_label, store=True)
                raw = self._public(key_label)
            except PKCS11Error as error:
                raise self._failed("make a key", error) from error
        if raw is None:
            raise TokenError(f"the token {self._label!r} made a key and does not show it: this token cannot be used")
        return TokenSigner(self, key_label, PublicKey.of_raw(raw))

    def sign(self, key_label: str, message: bytes, *, as_key: PublicKey) -> bytes:
        """Return the 64-byte signature of the key with that label, which must be ``as_key``.

        Raises:
            TokenError: the token is gone, or does not sign, or holds another key under that label by now.
        """
        with self._lock:
            try:
                signature = bytes(self._private_key(key_label).sign(message, mechanism=Mechanism.EDDSA))
            except PKCS11Error as error:
                raise self._failed(f"sign with the key {key_label!r}", error) from error
        if len(signature) != _SIGNATURE_BYTES:
            raise TokenError(f"the token {self._label!r} gave a signature of {len(signature)} bytes: not Ed25519")
        # A token can be exchanged for another with the same labels; nobody must see what that one signs.
        try:
            as_key.verify(message, signature)
        except ValueError as error:
            raise TokenError(f"the token {self._label!r} does not hold the key of this device any more") from error
        return signature

    def close(self) -> None:
        """Log out. Never raises; may be used again."""
        with self._lock:
            self._drop()

    def _public(self, key_label: str) -> bytes | None:
        """Return the 32 bytes of the public key with that label; None if there is none."""
        try:
            shown = self._object(ObjectClass.PUBLIC_KEY, key_label)
            self._private_key(key_label)  # a later search could fall on a session that has died, which is noisy
            curve, point = bytes(shown[Attribute.EC_PARAMS]), bytes(shown[Attribute.EC_POINT])
        except NoSuchKey:
            return None
        except PKCS11Error as error:
            raise self._failed(f"show the key {key_label!r}", error) from error
        raw = point.removeprefix(_POINT_HEAD) if len(point) > _POINT_BYTES else point
        # Curves may also be told by name; the length tells Ed25519 (32) from Ed448 (57).
        if len(raw) != _POINT_BYTES or (curve != _ED25519 and b"edwards25519" not in curve):
            raise TokenError(f"the key {key_label!r} of the token {self._label!r} is not an Ed25519 key")
        return raw

    def _private_key(self, key_label: str) -> Any:  # noqa: ANN401
        if key_label not in self._private:
            self._private[key_label] = self._object(ObjectClass.PRIVATE_KEY, key_label)
        return self._private[key_label]

    def _object(self, kind: ObjectClass, key_label: str) -> Any:  # noqa: ANN401
        wanted = {Attribute.CLASS: kind, Attribute.KEY_TYPE: KeyType.EC_EDWARDS, Attribute.LABEL: key_label}
        # The search is read to its end: one that is left open would outlive the session.
        found = list(self._opened().get_objects(wanted))
        if not found:
            raise NoSuchKey
        if len(found) > 1:
            raise MultipleObjectsReturned
        return found[0]

    def _opened(self) -> Any:  # noqa: ANN401 # the binding's sessions are not one type
        if self._session is None:
            self._session = self._log_in()
        return self._session

    def _log_in(self) -> Any:  # noqa: ANN401
        if self._pin_trouble is not None:
            # Tokens lock themselves after a few wrong PINs: a second try with the same one is never made.
            raise TokenError(self._pin_trouble)
        try:
            if self._library is None:
                self._library = pkcs11.lib(self._module)
            else:
                self._library.reinitialize()  # or a token that came back would not be seen
        except (PKCS11Error, OSError) as error:
            raise TokenError(
                f"the PKCS#11 module {self._module} cannot be loaded ({error}): install it, or mend [key] module"
            ) from error
        pin = self._pin()
        try:
            token = self._library.get_token(token_label=self._label)
            try:
                return token.open(user_pin=pin, rw=True)
            except UserAlreadyLoggedIn:  # a login is the whole program's, not one session's
                return token.open(rw=True)
        except _PIN_TROUBLES as error:
            self._pin_trouble = (
                f"the token {self._label!r} refuses the PIN ({type(error).__name__}): mend it, then start again; a few "
                f"wrong ones lock a token for good"
            )
            raise TokenError(self._pin_trouble) from None  # whatever the binding says of it belongs in no log
        except PKCS11Error as error:
            raise self._failed("open", error) from error

    def _failed(self, deed: str, error: PKCS11Error) -> TokenError:
        self._drop()
        if isinstance(error, NoSuchToken):
            return TokenError(f"there is no token {self._label!r}: plug it in, or mend [key] token")
        if isinstance(error, MultipleTokensReturned | MultipleObjectsReturned):
            return TokenError(f"two of one name: tokens and the keys on {self._label!r} need labels of their own")
        if isinstance(error, NoSuchKey):
            return TokenError(f"the token {self._label!r} cannot {deed}: it holds no such key any more")
        if isinstance(error, MechanismInvalid):
            return TokenError(f"the token {self._label!r} cannot {deed}: it knows no Ed25519 (CKM_EDDSA)")
        reason = type(error).__name__ if type(error) is not PKCS11Error else str(error)
        return TokenError(f"the token {self._label!r} cannot {deed} ({reason}): check that it is plugged in")

    def _drop(self) -> None:
        session, self._session = self._session, None
        self._private.clear()
        if session is not None:
            try:
                session.close()
            except PKCS11Error:
                return  # it went with the token


class TokenSigner:
    """A key of a token; see `protocol.identity.Signer`."""

    def __init__(self, token: KeyToken, key_label: str, public_key: PublicKey) -> None:
        """Use `KeyToken.load` or `KeyToken.create`."""
        self._token = token
        self._key_label = key_label
        self._public_key = public_key

    @property
    def public_key(self) -> PublicKey:
        """The public half, as the token showed it."""
        return self._public_key

    def sign(self, message: bytes) -> bytes:
        """Return the 64-byte Ed25519 signature over ``message``.

        Raises:
            TokenError: the token is gone, locked, or holds another key by now.
        """
        return self._token.sign(self._key_label, message, as_key=self._public_key)

    def __repr__(self) -> str:
        return f"TokenSigner({self._public_key.name})"
