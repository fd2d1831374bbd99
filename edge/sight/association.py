"""Which detection belongs to which track: pure geometry, deterministic, no state.

Candidates are scored in a matrix (tracks, detections), 0 = impossible; ``pair`` then takes the best pair first.
"""

import numpy as np
import numpy.typing as npt

from edge.sight.boxes import FloatArray, areas_of, pairwise_common_area


def pair(scores: FloatArray) -> list[tuple[int, int]]:
    """Return (row, column) pairs, each row and column at most once, best score first; scores of 0 never pair.

    Equal scores go to the lower row, then the lower column, so the outcome depends on nothing but the matrix.
    """
    rows, columns = np.nonzero(scores > 0)
    order = np.argsort(-scores[rows, columns], kind="stable")
    pairs: list[tuple[int, int]] = []
    used_rows: set[int] = set()
    used_columns: set[int] = set()
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if row not in used_rows and column not in used_columns:
            pairs.append((row, column))
            used_rows.add(row)
            used_columns.add(column)
    return pairs


def reach_scores(
    ways: tuple[FloatArray, FloatArray], seen: FloatArray, *, reach: FloatArray, side_ratio_max: FloatArray
) -> FloatArray:
    """Return 1 (on the way) .. 0 (``reach`` mean sides off it or further), as (n, m).

    Args:
        ways: boxes (n, 4) where each track was, and (n, 4) where it should be: it may be anywhere between.
        seen: boxes (m, 4).
        reach: (n,) how far off the way each track may be, in mean sides of its box.
        side_ratio_max: (n,) boxes whose mean sides differ by more than this factor are different things.
    """
    begin, end, centres = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (*ways, seen))
    sides = [np.maximum((boxes[:, 2:] - boxes[:, :2]).mean(axis=1), 1e-9) for boxes in (ways[0], seen)]
    way = end - begin
    length = np.maximum(np.sum(way * way, axis=1), 1e-9)
    offset = centres[None, :, :] - begin[:, None, :]
    along = np.clip(np.sum(offset * way[:, None, :], axis=2) / length[:, None], 0.0, 1.0)
    apart = np.linalg.norm(offset - along[:, :, None] * way[:, None, :], axis=2)
    allowed = np.maximum(reach * sides[0], 1e-9)
    ratio = sides[0][:, None] / sides[1][None, :]
    is_similar = np.maximum(ratio, 1 / ratio) <= side_ratio_max[:, None]
    return np.where(is_similar, np.maximum(1.0 - apart / allowed[:, None], 0.0), 0.0)


def is_covered(boxes: FloatArray, others: FloatArray, *, cover_min: float) -> npt.NDArray[np.bool_]:
    """Say for each of ``boxes`` (n, 4) whether it lies in one of ``others`` (m, 4), or one of them in it.

    "Lies in" means that ``cover_min`` of the smaller one's area is common.
    """
    smaller = np.minimum(areas_of(boxes)[:, None], areas_of(others)[None, :])
    common = pairwise_common_area(boxes, others)
    covered: npt.NDArray[np.bool_] = np.any(common >= cover_min * smaller, axis=1, keepdims=True)[:, 0]
    return covered
