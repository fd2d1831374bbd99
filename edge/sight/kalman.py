"""Where a box is and where it will be: a constant-velocity Kalman filter for its middle and its sides.

The four axes (middle x and y, width, height) are independent; the middle's two share one covariance, the sides' two
another, because their noise is the same share of the box's size. Noise is told in sides of the box, so that near and
far objects are treated alike. Plain floats: for the dozen objects of a frame they are faster than arrays of numpy.
"""

from dataclasses import dataclass

from edge.sight.finished import BoxPx

Place = tuple[float, float, float, float]  # middle x, middle y, width, height, in pixels
Box = tuple[float, float, float, float]  # left, top, right, bottom, in pixels

_SEEN_SIGMA = 0.05  # how far a detector's box is off, in mean sides
_SEEN_SIGMA_PX = 0.5  # and never less than the rounding
_MIDDLE_DRIFT = 0.25  # variance of the speed gained in a second: people start and stop, in (sides / s) ** 2
_SIDES_DRIFT = 0.01  # the same for the sides: people come nearer, but not fast
_FIRST_SPEED_SIGMA = 2.0  # what is known of a new object's speed, in sides a second
_FIRST_GROWTH_SIGMA = 0.3


def place_of(box: BoxPx | Box) -> Place:
    """Return middle and sides of a box."""
    left, top, right, bottom = box
    return (left + right) / 2, (top + bottom) / 2, float(right - left), float(bottom - top)


@dataclass(slots=True)
class Doubt:
    """Covariance of (place, speed) of one axis, in px², px²/s and (px/s)²."""

    place: float
    both: float
    speed: float

    def later(self, elapsed_s: float, drift: float) -> "Doubt":
        """Return the covariance after ``elapsed_s`` without a look."""
        t = elapsed_s
        return Doubt(
            self.place + 2 * t * self.both + t * t * self.speed + drift * t * t * t / 3,
            self.both + t * self.speed + drift * t * t / 2,
            self.speed + drift * t,
        )

    def gains(self, seen_variance: float) -> tuple[float, float]:
        """Return how much of a surprise goes into the place and (1/s) into the speed; the doubt is less after it."""
        whole = self.place + seen_variance
        to_place, to_speed = self.place / whole, self.both / whole
        self.speed -= to_speed * self.both
        self.both *= 1 - to_place
        self.place *= 1 - to_place
        return to_place, to_speed


class Kalman:
    """The filter of one track. Times are the frames', in milliseconds."""

    __slots__ = ("_middle", "_sides", "at_ms", "place", "speed", "steps")

    def __init__(self, place: Place, at_ms: int, *, speed: Place = (0.0, 0.0, 0.0, 0.0), steps: int = 1) -> None:
        """Begin at ``place``; ``speed`` (px/s) and ``steps`` (looks so far) are for one that goes on."""
        self.place = place
        self.speed = speed
        self.at_ms = at_ms
        self.steps = steps
        side = self.side_px
        seen = _seen_variance(side)
        is_new = steps < 2
        self._middle = Doubt(seen, 0.0, (side * (_FIRST_SPEED_SIGMA if is_new else 0.3)) ** 2)
        self._sides = Doubt(seen, 0.0, (side * (_FIRST_GROWTH_SIGMA if is_new else 0.1)) ** 2)

    @property
    def side_px(self) -> float:
        """The box's mean side, at least 1."""
        return max((self.place[2] + self.place[3]) / 2, 1.0)

    @property
    def pace(self) -> float:
        """How fast the middle moves, in mean sides a second."""
        return float((self.speed[0] ** 2 + self.speed[1] ** 2) ** 0.5) / self.side_px

    def expected(self, at_ms: int) -> Box:
        """Return the box expected at ``at_ms``; the sides keep their size."""
        elapsed_s = (at_ms - self.at_ms) / 1000
        x, y, width, height = self.place
        x, y = x + self.speed[0] * elapsed_s, y + self.speed[1] * elapsed_s
        return x - width / 2, y - height / 2, x + width / 2, y + height / 2

    def sigma_px(self, at_ms: int) -> float:
        """Return how far (one standard deviation) the middle may be from where it is expected at ``at_ms``."""
        side = self.side_px
        later = self._middle.later((at_ms - self.at_ms) / 1000, _MIDDLE_DRIFT * side * side)
        return float(max(later.place, 0.0) ** 0.5)

    def correct(self, seen: Place, at_ms: int) -> None:
        """Take in what was seen at ``at_ms``, later than everything taken in before."""
        elapsed_s = (at_ms - self.at_ms) / 1000
        side = self.side_px
        seen_variance = _seen_variance(side)
        self._middle = self._middle.later(elapsed_s, _MIDDLE_DRIFT * side * side)
        self._sides = self._sides.later(elapsed_s, _SIDES_DRIFT * side * side)
        middle, sides = self._middle.gains(seen_variance), self._sides.gains(seen_variance)
        axes = [
            _corrected(place, speed, value, elapsed_s, gains)
            for place, speed, value, gains in zip(
                self.place, self.speed, seen, (middle, middle, sides, sides), strict=True
            )
        ]
        (x, x_speed), (y, y_speed), (width, width_speed), (height, height_speed) = axes
        self.place = (x, y, max(width, 1.0), max(height, 1.0))
        self.speed = (x_speed, y_speed, width_speed, height_speed)
        self.at_ms = at_ms
        self.steps += 1


def _corrected(
    place: float, speed: float, seen: float, elapsed_s: float, gains: tuple[float, float]
) -> tuple[float, float]:
    surprise = seen - (place + speed * elapsed_s)
    return place + speed * elapsed_s + gains[0] * surprise, speed + gains[1] * surprise


def _seen_variance(side_px: float) -> float:
    return max(_SEEN_SIGMA * side_px, _SEEN_SIGMA_PX) ** 2
