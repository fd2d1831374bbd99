"""From a believed offer to a version in the store: weighed, its turn awaited, downloaded in the background, placed."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from edge.log import get_logger
from edge.models import rollout
from edge.models.errands import Errand, Fetch
from edge.models.errors import ModelError
from edge.models.offers import KeeperTerms, Offered, weighed
from edge.models.versions import ModelVersions
from protocol.modeloffer import ModelOffer
from protocol.units import UnixMs

_FIRST_PAUSE_S: Final = 30.0  # after a failed download; doubled each time
_LONGEST_PAUSE_S: Final = 3_600.0

log = get_logger()


class OfferFetcher:
    """Fetches what the latest offer offers, once it is wanted. Raises ModelError where the store cannot be written."""

    def __init__(
        self,
        versions: ModelVersions,
        terms: KeeperTerms,
        *,
        fetch: Fetch,
        now_ms: Callable[[], UnixMs],
        monotonic_s: Callable[[], float],
    ) -> None:
        self._versions = versions
        self._terms = terms
        self._fetch = fetch
        self._now_ms = now_ms
        self._monotonic_s = monotonic_s
        self._offered: Offered | None = None
        self._into: Path | None = None
        self._under_way: Errand | None = None
        self._due_s = 0.0  # nothing begins before
        self._failures = 0
        self.waiting: str | None = None  # why what is offered is not fetched now

    def weigh(self, offer: ModelOffer) -> str | None:
        """Make ``offer`` the one that counts; say why it is not to be believed, or None."""
        before, self._offered = self._offered, None
        problem = None
        self._versions.change(lambda state: rollout.heard(state, issued_at_ms=offer.issued_at_ms))
        try:
            self._offered = weighed(offer, self._terms, now_ms=self._now_ms())
            log.info("model_offered", model=self._offered.ref.name, is_included=self._offered.is_included)
        except ModelError as error:
            problem = str(error)
        if not _is_the_same(before, self._offered):
            self._give_up()
        if self._under_way is None:
            self._failures, self._due_s = 0, 0.0
        return problem

    def step(self) -> str | None:
        """Collect and begin what is due; say what went wrong with a download, or None."""
        problem = self._collect()
        self._begin()
        return problem

    def close(self) -> None:
        """Give up what is under way; what has arrived stays for the next start."""
        self._give_up()

    def _begin(self) -> None:
        offered = self._offered
        self.waiting = None if offered is None else self._why_not(offered)
        if (
            offered is None
            or self.waiting is not None
            or self._under_way is not None
            or self._monotonic_s() < self._due_s
        ):
            return
        self._into = self._versions.fetching(offered.ref.digest)
        self._under_way = self._fetch(offered.parcel, self._into)

    def _why_not(self, offered: Offered) -> str | None:
        return rollout.refusal(self._versions.state(), offered.ref, is_included=offered.is_included)

    def _collect(self) -> str | None:
        if self._under_way is None or self._into is None or self._offered is None:
            return None
        outcome = self._under_way.outcome()
        if outcome is None:
            return None
        self._under_way = None
        if outcome.problem is not None:
            return self._failed(outcome.problem)
        ref = self._offered.ref
        self._versions.place(self._into, ref, lambda state: rollout.fetched(state, ref))
        log.info("model_fetched", model=ref.name)
        return None

    def _failed(self, problem: str) -> str:
        self._due_s = self._monotonic_s() + min(_LONGEST_PAUSE_S, _FIRST_PAUSE_S * 2.0 ** min(self._failures, 20))
        self._failures += 1
        return problem

    def _give_up(self) -> None:
        if self._under_way is not None:
            self._under_way.cancel()
            self._under_way = None


def _is_the_same(before: Offered | None, now: Offered | None) -> bool:
    return before is not None and now is not None and before.ref == now.ref and now.is_included
