"""The ``with`` statement for cameras: leaving the block closes.

The one place where behaviour is inherited: four cameras would otherwise repeat the same eight lines.
"""

from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class ClosesOnExit(ABC):
    """Gives a camera the context-manager half of the seam."""

    @abstractmethod
    def close(self) -> None:
        """Let the source go."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
