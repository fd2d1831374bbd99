"""Where a broker listens, and whether it answers."""

import socket
import ssl
from dataclasses import dataclass, field
from typing import Final, Self
from urllib.parse import unquote, urlsplit

# CONNECT, protocol MQTT 3.1.1, clean session, keep-alive 10 s, client id "cairn-probe" (MQTT 3.1.1 section 3.1).
_CONNECT: Final = bytes.fromhex("1017 0004 4d515454 04 02 000a 000b") + b"cairn-probe"
_CONNACK: Final = b"\x20\x02"
_DISCONNECT: Final = b"\xe0\x00"


class BrokerError(Exception):
    """The broker cannot be started, reached or understood."""


@dataclass(frozen=True, slots=True)
class BrokerAddress:
    """An MQTT broker: ``mqtt://host:port`` or ``mqtts://user:password@host:port``."""

    host: str
    port: int
    is_encrypted: bool = False
    username: str | None = None
    password: str | None = field(default=None, repr=False)

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a broker's URL.

        Raises:
            BrokerError: another scheme, or no host.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BrokerError(f"the broker's URL is not one: {error}") from error
        if parts.scheme not in {"mqtt", "mqtts"} or not parts.hostname:
            raise BrokerError("the broker's URL must look like mqtt://host:1883 or mqtts://user:password@host:8883")
        is_encrypted = parts.scheme == "mqtts"
        return cls(
            host=parts.hostname,
            port=port or (8883 if is_encrypted else 1883),
            is_encrypted=is_encrypted,
            username=None if parts.username is None else unquote(parts.username),
            password=None if parts.password is None else unquote(parts.password),
        )

    def answers(self, timeout_s: float = 1.0) -> bool:
        """Say whether something there speaks MQTT now. A refused login counts: it is a broker's answer."""
        try:
            with socket.create_connection((self.host, self.port), timeout=timeout_s) as plain:
                plain.settimeout(timeout_s)
                if not self.is_encrypted:
                    return _says_hello(plain)
                with ssl.create_default_context().wrap_socket(plain, server_hostname=self.host) as encrypted:
                    return _says_hello(encrypted)
        except OSError:
            return False


def _says_hello(connection: socket.socket) -> bool:
    connection.sendall(_CONNECT)
    answer = connection.recv(4)
    if answer.startswith(_CONNACK):
        connection.sendall(_DISCONNECT)
        return True
    return False


def free_port(host: str) -> int:
    """Return a port on which nothing listens at ``host`` at this moment.

    Raises:
        BrokerError: ``host`` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.create_server((host, 0), family=family) as server:
            return int(server.getsockname()[1])
    except OSError as error:
        raise BrokerError(f"cannot listen on {host}: choose an address of this machine with --mqtt-host") from error
