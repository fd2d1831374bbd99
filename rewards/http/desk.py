"""Everything the HTTP side may look at: handed over by `rewards.app`, asked anew for every request."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from protocol.units import UnixMs
from rewards.chain.values import Terms
from rewards.paybook import PayBook
from rewards.progress import Progress
from rewards.shelf import ReportShelf


@dataclass(frozen=True, slots=True)
class Desk:
    """What is on the desk of whoever answers."""

    version: str
    chain_id: int
    contract: str
    terms: Terms
    public_rpc: str | None
    paybook: PayBook
    shelf: ReportShelf
    portal: Path
    clock: Callable[[], UnixMs]
    progress: Callable[[], Progress]
    attests: bool
