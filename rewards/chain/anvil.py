"""Run a local EVM node whose state survives a power cut.

anvil's own ``--state-interval`` rewrites one file in place: a kill -9 in the middle of a write leaves a torn file that
it refuses to start from (measured: one in five kills with 1,500 blocks). So the state is asked for over RPC
(``anvil_dumpState``) and replaces the file atomically. Whatever was mined since the last save is lost with the node:
at most ``save_every_s``, unless ``save`` is called.
"""

import os
import socket
import subprocess
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from web3 import HTTPProvider
from web3.types import RPCEndpoint

from rewards.chain.anvil_state import sign_lock, state_lock, unpack_state, write_state
from rewards.chain.errors import ChainError, ChainUnreachableError, NodeFailedError

TEST_MNEMONIC = "test test test test test test test test test test test junk"
"""The mnemonic every EVM tool uses for play money; its ten first accounts are rich on a local chain."""

_START_WITHIN_S = 20.0
_STOP_WITHIN_S = 10.0
_POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class AnvilOptions:
    """How to run the node. ``block_time_s`` 0 mines each transaction at once and nothing in between."""

    port: int = 0  # 0: any free one
    host: str = "127.0.0.1"  # the address it listens on; its keys are known to everybody
    chain_id: int = 31_337
    block_time_s: float = 0.0
    mnemonic: str = TEST_MNEMONIC
    save_every_s: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.port < 65_536 or self.chain_id <= 0 or self.block_time_s < 0 or self.save_every_s <= 0:
            raise ChainError("port must be 0..65535, chain_id and save_every_s positive, block_time_s not negative")


class Anvil:
    """A running node. Close it, or use it as a context manager; its state is saved once more on the way out."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, state_file: Path, options: AnvilOptions) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"
        self.state_file = state_file
        self.options = options
        self.save_failure: ChainError | None = None  # why the last save by itself failed, for whoever watches
        self._provider = HTTPProvider(self.url, request_kwargs={"timeout": 60.0})
        self._saving = threading.Lock()
        self._saved_block: str | None = None
        self._closing = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="anvil-state", daemon=True)

    def rpc(self, method: str, *arguments: Any) -> Any:  # noqa: ANN401 - JSON in, JSON out
        """Call ``method``, standard or anvil's own (``evm_increaseTime``), and return its result.

        Raises:
            ChainError: the node answered with an error.
            ChainUnreachableError: it did not answer.
        """
        try:
            answer = self._provider.make_request(RPCEndpoint(method), list(arguments))
        except OSError as error:
            raise ChainUnreachableError(f"The local node at {self.url} does not answer.") from error
        if "error" in answer:
            raise ChainError(f"The local node refused {method}: {answer['error']}")
        return answer["result"]

    def save(self) -> None:
        """Write the state of this moment to the disk; it is there when this returns.

        Raises:
            ChainError: the node did not give it, or the disk did not take it.
        """
        with self._saving:
            block: str = self.rpc("eth_getBlockByNumber", "latest", False)["hash"]  # noqa: FBT003 - JSON-RPC
            packed = bytes.fromhex(self.rpc("anvil_dumpState")[2:])
            write_state(self.state_file, packed)
            self._saved_block = block

    def close(self) -> None:
        """Save, stop the node and wait until it is gone. Closing twice is closing once."""
        self._closing.set()
        if self._keeper.is_alive():
            self._keeper.join()
        try:
            if self.process.poll() is None:
                self.save()
        finally:
            _end(self.process)

    def start_keeping(self) -> None:
        """Begin to save whenever the chain has grown, every ``save_every_s``."""
        self._keeper.start()

    def _keep(self) -> None:
        pause_s = self.options.save_every_s
        while not self._closing.wait(pause_s) and self.process.poll() is None:
            began_s = time.monotonic()
            try:
                if self.rpc("eth_getBlockByNumber", "latest", False)["hash"] != self._saved_block:  # noqa: FBT003
                    self.save()
                self.save_failure = None
            except ChainError as error:
                self.save_failure = error  # and try again: the disk may have room later
            # Never spend more than a tenth of the time on it, however long the chain has grown.
            pause_s = max(self.options.save_every_s, 9 * (time.monotonic() - began_s))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start_anvil(program: Path, state_file: Path, options: AnvilOptions | None = None) -> Anvil:
    """Start ``program`` on the state in ``state_file`` (a new chain if there is none) and return once it answers.

    Its output goes to ``<state_file>.log``. One state file has one node: a second is refused, and a node whose
    keeper was killed is stopped first.

    Raises:
        NodeFailedError: it did not start, the state file is unreadable, or it is in use.
    """
    options = options or AnvilOptions()
    state_file.parent.mkdir(parents=True, exist_ok=True)
    with state_lock(state_file) as lock:
        port = options.port or _free_port()
        command = [str(program), "--host", options.host, "--port", str(port), "--chain-id", str(options.chain_id)]
        command += ["--mnemonic", options.mnemonic]
        if options.block_time_s:
            command += ["--block-time", f"{options.block_time_s:g}"]
        if state_file.exists():
            command += ["--load-state", str(unpack_state(state_file))]
        with state_file.with_name(state_file.name + ".log").open("ab") as log:
            try:
                # The child inherits the lock: it ends with the last of us, however we end.
                process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=(lock,))
            except OSError as error:
                raise NodeFailedError(f"{program} does not run on this machine: {error}") from error
        sign_lock(lock, keeper_pid=os.getpid(), node_pid=process.pid)
    anvil = Anvil(process, port, state_file, options)
    try:
        _await_answer(anvil)
    except ChainError:
        _end(process)
        raise
    anvil.start_keeping()
    return anvil


def _await_answer(anvil: Anvil) -> None:
    deadline_s = time.monotonic() + _START_WITHIN_S
    log = anvil.state_file.with_name(anvil.state_file.name + ".log")
    while time.monotonic() < deadline_s:
        if anvil.process.poll() is not None:
            raise NodeFailedError(f"The local node stopped at once (exit {anvil.process.returncode}): see {log}.")
        with suppress(ChainUnreachableError):
            found = int(anvil.rpc("eth_chainId"), 16)
            if found != anvil.options.chain_id:
                raise NodeFailedError(f"Port {anvil.port} is served by chain {found}: choose another port.")
            return
        time.sleep(_POLL_S)
    raise NodeFailedError(f"The local node does not answer on {anvil.url} after {_START_WITHIN_S:g} s: see {log}.")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(_STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait(_STOP_WITHIN_S)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
