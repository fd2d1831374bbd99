"""The status page as a child: a process of its own, for as long as it is wanted; it may read and change nothing."""

from pathlib import Path
from typing import Self

from edge.confine import Confinement, confined_command
from edge.log import get_logger
from edge.supervisor import Child, Recipe

log = get_logger()


class Show:
    """Runs the page where the settings want it; a context manager that ends it."""

    def __init__(self, on: str, address: tuple[str, int], directory: Path, *, is_adopted: bool) -> None:
        """Prepare; the first `step` starts it.

        Args:
            on: ``always``, ``until_adopted`` or ``never``.
            address: where it listens.
            directory: the device's.
            is_adopted: whether somebody owns the device.
        """
        is_wanted = on == "always" or (on == "until_adopted" and not is_adopted)
        host, port = address
        home = str(directory.absolute())
        confinement = Confinement(
            module="edge.status_page.__main__",
            read=(home,),
            has_network=True,
            arguments=("--dir", home, "--host", host, "--port", str(port), "--on", on),
        )
        recipe = Recipe("status_page", lambda: confined_command(confinement), lambda: b"", ends_for_good=True)
        self._child = Child(recipe) if is_wanted else None

    def step(self, now_s: float) -> None:
        """Keep it going."""
        if self._child is not None:
            for line in self._child.step(now_s):
                log.info("status_page_shown", at=line.decode(errors="replace"))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._child is not None:
            self._child.stop(at_most_s=0.0)
