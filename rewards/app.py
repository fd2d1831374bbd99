"""The reward service put together: the one place that knows every part and reads the clock."""

import threading
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Final

import structlog
from eth_account.signers.local import LocalAccount

from protocol.units import UnixMs
from rewards.chain.acting import RewardsAccount
from rewards.chain.contract import RewardsContract
from rewards.chain.errors import ChainError
from rewards.chain.sender import Sender
from rewards.deployment import Deployment
from rewards.domain.errors import SettlementError
from rewards.gateway import Gateway, GatewayError
from rewards.http.app import create_app
from rewards.http.desk import Desk
from rewards.http.server import HttpServer
from rewards.paybook import PayBook
from rewards.progress import Progress
from rewards.recompute import Waiting
from rewards.registry import open_contract, open_registry
from rewards.runner import EpochRunner, Posted, RunnerError
from rewards.settings import RewardsSettings
from rewards.shelf import ReportShelf, ShelfError

log = structlog.get_logger(__name__)

PORTAL: Final = Path(__file__).with_name("portal") / "dist"
_MAX_PAUSE_S: Final = 30.0
_JOIN_S: Final = 10.0
_EXPECTED = (GatewayError, SettlementError, ChainError, ShelfError, RunnerError)


def wall_clock() -> UnixMs:
    """Return the time of this machine."""
    return UnixMs(time.time_ns() // 1_000_000)


class RewardService:
    """One hub's attester and its page. `start`, then `wait`, then `stop`; not to be started again."""

    def __init__(self, settings: RewardsSettings, deployment: Deployment, account: LocalAccount | None) -> None:
        """Attest as ``account``; with None everything is computed and shown, and nothing is sent."""
        self._settings = settings
        self._deployment = deployment
        self._account = account
        self._stop = threading.Event()
        self._progress = Progress()
        self._failure: str | None = None
        self._undo: list[Callable[[], object]] = []

    def start(self) -> str:
        """Bring everything up and return the address of the page; on an error, take down what was up.

        Raises:
            ChainError, ShelfError, HttpError: one sentence that says what to do.
        """
        try:
            return self._start()
        except Exception:
            self.stop()
            raise

    def settle_now(self) -> tuple[tuple[Posted, ...], str]:
        """Settle everything that can be settled now, without serving; return it, and why it ended there.

        Raises:
            GatewayError, SettlementError, ChainError, ShelfError, RunnerError: one sentence.
        """
        _, _, runner = self._open()
        posted: list[Posted] = []
        while isinstance(step := runner.step(), Posted):
            posted.append(step)
        return tuple(posted), step.reason

    def wait(self, stop: threading.Event) -> str | None:
        """Return when ``stop`` is set, or with a sentence when the runner has failed for good."""
        while not stop.is_set() and not self._stop.wait(0.1):
            pass
        return self._failure

    def stop(self) -> None:
        """Stop everything, the last started first."""
        self._stop.set()
        while self._undo:
            self._undo.pop()()

    def _open(self) -> tuple[RewardsContract, ReportShelf, EpochRunner]:
        contract = open_contract(self._settings.rpc.get_secret_value(), self._deployment)
        shelf = ReportShelf(self._settings.data / "reports")
        hub = Gateway(str(self._settings.hub))
        self._undo.append(hub.close)
        attester = None if self._account is None else RewardsAccount(contract, Sender(contract.web3, self._account))
        return contract, shelf, EpochRunner(hub, open_registry(contract, self._deployment), shelf, attester)

    def _start(self) -> str:
        settings = self._settings
        server = HttpServer(settings.http_host, settings.http_port)
        self._undo.append(server.stop)
        contract, shelf, runner = self._open()
        desk = Desk(
            version=version("cairn-network"),
            chain_id=self._deployment.chain_id,
            contract=contract.address,
            terms=contract.terms(),
            public_rpc=None if settings.public_rpc is None else str(settings.public_rpc),
            paybook=PayBook(contract, shelf, wall_clock),
            shelf=shelf,
            portal=PORTAL,
            clock=wall_clock,
            progress=lambda: self._progress,
            attests=self._account is not None,
        )
        server.start(create_app(desk))
        worker = threading.Thread(target=self._supervise, args=(runner,), name="runner", daemon=True)
        worker.start()
        self._undo.append(lambda: worker.join(_JOIN_S))
        log.info("rewards_started", http=server.url, contract=contract.address, attests=desk.attests)
        return server.url

    def _supervise(self, runner: EpochRunner) -> None:
        """Step until stopped; whatever is not an expected trouble ends the service, so that somebody looks."""
        try:
            self._run(runner)
        except Exception as error:  # the supervisor: nothing may end the runner unseen
            self._failure = f"The runner stopped: {error}"
            log.exception("runner_failed")
            self._stop.set()

    def _run(self, runner: EpochRunner) -> None:
        pause_s = 0.0
        while not self._stop.wait(pause_s):
            try:
                step = runner.step()
            except _EXPECTED as error:
                if self._progress.trouble != str(error):
                    log.error("epoch_not_settled", error=str(error))  # noqa: TRY400 - the sentence is for people
                self._progress = self._progress.went_wrong(str(error), now_ms=wall_clock())
                pause_s = min(max(self._settings.poll_seconds, 2 * pause_s), _MAX_PAUSE_S)
                continue
            doing = step.reason if isinstance(step, Waiting) else f"Epoch {step.report.epoch} is posted."
            self._progress = self._progress.went_well(doing, now_ms=wall_clock())
            pause_s = self._settings.poll_seconds if isinstance(step, Waiting) else 0.0
            if isinstance(step, Posted):
                log.info("epoch_posted", **posted_facts(step))


def posted_facts(step: Posted) -> dict[str, object]:
    """Return what is worth telling about an epoch that was just posted."""
    return {
        "epoch": step.report.epoch,
        "root": "0x" + step.root.attestation.root.hex(),
        "transaction": "0x" + step.root.transaction_hash.hex(),
        "paid_wei": str(step.report.pool_wei - step.report.unallocated_wei),
        "unallocated_wei": str(step.report.unallocated_wei),
        "devices": len(step.report.lines),
    }
