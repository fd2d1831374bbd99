"""The last line of `make test` adds up what its groups said, and no group's failure gets lost on the way."""

import pytest

from tests.conftest import ROOT
from tests.run import LANES, summary, worst


def test_the_groups_add_up_in_pytests_own_form() -> None:
    lines = ["==== 38 passed in 360.18s (0:06:00) ====", "= 2 failed, 501 passed, 1 warning in 3.10s =", "1 error"]
    assert summary(lines, 4.0).strip("= ") == "2 failed, 539 passed, 1 warning, 1 error in 4.00s"
    assert summary(["2 errors in 0.1s", "3 xfailed, 1 skipped in 1s"], 725.5).strip("= ") == (
        "1 skipped, 3 xfailed, 2 errors in 725.50s (0:12:05)"
    )


@pytest.mark.parametrize(("statuses", "status"), [([0, 0, 0], 0), ([0, 1, 0], 1), ([0, -9, 0], 9), ([5, 0, 2], 5)])
def test_one_group_that_fails_or_is_killed_fails_the_whole(statuses: list[int], status: int) -> None:
    assert worst(statuses) == status


def test_every_path_of_a_lane_is_there_once() -> None:
    paths = [path for lane in LANES for path in lane]
    assert len(set(paths)) == len(paths)
    assert all((ROOT / path).exists() for path in paths)
