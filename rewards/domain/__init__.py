"""The mathematics of pay: bytes and numbers in, numbers and bytes out. No clock, no network, no floats."""
