"""What the process with the key and the network does about models: hear a hub's offer, fetch, have it tried, switch.

It loads no model itself. The agent's loop drives it: `start` once, `hear` for what comes on the topic of offers, `step`
every now and then, and `vision_works`, `vision_crashed` or `model_failed` for what becomes of the vision; `close` where
the agent ends as it was told to. Which model runs is decided in edge.models.rollout; here are the clocks, the files and
the errands. Used by one thread, `hear` excepted.
"""

import queue
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

from edge.log import get_logger
from edge.models import rollout
from edge.models.errands import Errand, Fetch, Try
from edge.models.errors import ModelError
from edge.models.fetching import OfferFetcher
from edge.models.offers import KeeperTerms, believed_offer
from edge.models.trust import check_fresh, origin_of
from edge.models.versions import MODEL_SUFFIX, ModelVersions
from protocol.modeloffer import ModelOffer
from protocol.units import UnixMs

RESTART_VISION: Final = "restart vision"
_PAUSE_S: Final = 30.0  # before a trial that could not be started is tried again

log = get_logger()


class ModelKeeper:
    """Looks after one device's models. One error family: ModelError."""

    def __init__(
        self,
        versions: ModelVersions,
        terms: KeeperTerms,
        *,
        fetch: Fetch,
        trial: Try,
        now_ms: Callable[[], UnixMs],
        monotonic_s: Callable[[], float],
    ) -> None:
        """Prepare; nothing is read before `start`.

        Args:
            versions: the store.
            terms: whom to believe, and the bounds.
            fetch: begins to fill a folder with a parcel; edge.models.errands.fetching.
            trial: begins to try the ONNX file of a stored model; edge.models.errands.trying.
            now_ms: the device's time, against which manifests expire.
            monotonic_s: for probation and pauses.
        """
        self._versions = versions
        self._terms = terms
        self._trial = trial
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._is_pinned = terms.asked.endswith(MODEL_SUFFIX)  # the owner named a file: nobody else's business
        self._heard: queue.SimpleQueue[ModelOffer] = queue.SimpleQueue()
        self._latest_ms = 0
        self._fetcher = OfferFetcher(versions, terms, fetch=fetch, now_ms=now_ms, monotonic_s=monotonic_s)
        self._trying: Errand | None = None
        self._tried: rollout.Ref | None = None
        self._try_at_s = 0.0  # no trial before
        self._since_s: float | None = None  # when the model on probation was first seen at work
        self._runs: Path | None = None
        self.note: str | None = None  # what went wrong last, a sentence for status and doctor

    @property
    def runs(self) -> Path | None:
        """The ONNX file that the vision is to open; its manifest lies beside it. None: there is none yet."""
        return self._runs

    @property
    def waiting(self) -> str | None:
        """Why the model of the latest offer is not fetched now, in a few words; None: it is, or there is none."""
        return self._fetcher.waiting

    def start(self) -> Path | None:
        """Return the model to start the vision with: the one that ran, if it still is what was once believed.

        None, and a `note`, where the store has no model of the name in the settings; a hub's offer may bring one. An
        expired model goes on running, with a warning: a device without news must not go blind. What has been changed
        on the disk does not run; the previous one does.

        Raises:
            ModelError: no stored model can be believed, or the store cannot be read.
        """
        asked = self._terms.asked
        if self._is_pinned:
            self._runs = Path(asked).expanduser()
            return self._runs
        state = self._versions.change(lambda state: rollout.begun(rollout.asked_for(state, asked)))
        self._latest_ms = state.offered_at_ms
        try:
            self._check(rollout.running(state, asked))
        except ModelError as error:
            self._complain("model_not_believed", str(error))
            self._check(rollout.running(self._versions.change(rollout.failed), asked))
        self._point()
        if self._runs is None:
            self.note = f"the model store has no {asked!r}: add it with `cairn-edge model add {asked}`"
        return self._runs

    def hear(self, block: bytes) -> None:
        """Take in what was published on the topic of offers. May be called by another thread.

        Raises:
            UnbelievableError: it is not an offer of this device's hub and network, or older than one believed before.
        """
        terms = self._terms
        offer = believed_offer(block, hub=terms.hub, network=terms.network, latest_ms=self._latest_ms)
        self._latest_ms = offer.issued_at_ms
        if terms.follows_hub and not self._is_pinned:
            self._heard.put(offer)

    def step(self) -> Literal["restart vision"] | None:
        """Do what is due, without waiting; say whether the vision must be started again, with `runs`. Never raises."""
        if self._is_pinned:
            return None
        try:
            with suppress(queue.Empty):
                while True:
                    self._note("model_offer_refused", self._fetcher.weigh(self._heard.get_nowait()))
            self._note("model_not_fetched", self._fetcher.step())
            self._collect_trial()
            self._begin_trial()
            self._end_probation()
            return self._point_anew()
        except (ModelError, OSError) as error:  # the disk: full, or somebody's hand in it; or no process to be had
            self._complain("model_store_failed", str(error))
            return None

    def vision_works(self, *, frame_ms: int | None = None) -> None:
        """The vision has told of frames it has seen; ``frame_ms``: what the model needs for one, where it says so."""
        if self._is_pinned or self._versions.state().probation is None:
            return
        if self._since_s is None:
            self._since_s = self._monotonic_s()
        is_slow = frame_ms is not None and frame_ms > self._terms.max_frame_ms
        self._watched(lambda state: rollout.seen_at_work(state, is_slow=is_slow), f"{frame_ms} ms a frame are too slow")

    def vision_crashed(self, reason: str) -> None:
        """The vision ended as no camera makes it end: by a signal, out of memory, without a word."""
        self._watched(rollout.crashed, reason)

    def model_failed(self, reason: str) -> None:
        """The vision ended because of its model: unreadable, or its self-test failed."""
        self._watched(rollout.failed, reason)

    def close(self) -> None:
        """The agent ends as it was told to: give up what is under way."""
        self._fetcher.close()
        if self._trying is not None:
            self._trying.cancel()
        if not self._is_pinned:
            self._versions.change(rollout.stopped)

    def _check(self, ref: rollout.Ref | None) -> None:
        if ref is None:
            return
        held = self._versions.version(ref)
        origin = origin_of(held.manifest, held.approvals, self._terms.trust)
        try:
            check_fresh(held.head, origin, now_ms=self._now_ms())
        except ModelError as error:
            self._complain("model_expired", str(error))

    def _point(self) -> None:
        ref = rollout.running(self._versions.state(), self._terms.asked)
        self._runs = None if ref is None else self._versions.path_of(ref)

    def _point_anew(self) -> Literal["restart vision"] | None:
        before = self._runs
        self._point()
        if self._runs == before:
            return None
        self._since_s = None
        self._versions.change(rollout.begun)
        log.info("model_switched", model=str(self._runs))
        return RESTART_VISION

    def _begin_trial(self) -> None:
        if self._versions.state().candidate is None or self._trying is not None or self._monotonic_s() < self._try_at_s:
            return
        state = self._versions.change(rollout.trial_begun)
        if state.candidate is None:
            self._complain("model_trial_failed", "its trials never end")
            return
        try:
            self._trying = self._trial(self._versions.path_of(state.candidate))
            self._tried = state.candidate
        except OSError as error:  # the machine's fault, not the model's
            self._versions.change(rollout.trial_put_off)
            self._try_at_s = self._monotonic_s() + _PAUSE_S
            self._complain("model_trial_put_off", f"the trial cannot be started: {error}")

    def _collect_trial(self) -> None:
        outcome = None if self._trying is None else self._trying.outcome()
        if outcome is None:
            return
        self._trying = None
        if self._versions.state().candidate != self._tried:
            return  # the owner has settled it meanwhile
        problem = outcome.problem
        if problem is None and outcome.frame_ms > self._terms.max_frame_ms:
            problem = f"{outcome.frame_ms} ms a frame are too slow, {self._terms.max_frame_ms} are allowed"
        if problem is not None:
            self._versions.change(rollout.trial_failed)
            self._complain("model_trial_failed", problem)
            return
        self._versions.change(rollout.trial_passed)
        log.info("model_trial_passed", frame_ms=outcome.frame_ms)

    def _end_probation(self) -> None:
        if self._since_s is None or self._monotonic_s() - self._since_s < self._terms.probation_s:
            return
        self._since_s = None
        self._versions.change(rollout.probation_passed)
        self.note = None
        log.info("model_proven", model=str(self._runs))

    def _watched(self, change: Callable[[rollout.RolloutState], rollout.RolloutState], reason: str) -> None:
        if self._is_pinned:
            return
        before = self._versions.state()
        after = self._versions.change(change)
        if after.current != before.current:
            self._complain("model_rolled_back", reason)

    def _note(self, event: str, problem: str | None) -> None:
        if problem is not None:
            self._complain(event, problem)

    def _complain(self, event: str, reason: str) -> None:
        if reason != self.note:
            log.warning(event, reason=reason)
        self.note = reason
