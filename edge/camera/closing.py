"""The ``with`` statement for cameras: leaving the block closes."""

from types import TracebackType
from typing import Self


class ClosesOnExit:
    """Gives a camera the context-manager half of the seam."""

    def close(self) -> None:
        """Let the source go."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
