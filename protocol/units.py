"""Units as types: a number that two parties must agree on carries its unit in its name and its type."""

from typing import NewType

UnixMs = NewType("UnixMs", int)  # milliseconds since 1970-01-01T00:00:00Z
Ppm = NewType("Ppm", int)  # parts per million, 0..1_000_000
Udeg = NewType("Udeg", int)  # micro-degrees; 1 udeg of latitude is about 0.11 m
Wei = NewType("Wei", int)  # 10**-18 of the pay token

PPM_ONE = Ppm(1_000_000)
