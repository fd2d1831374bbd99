"""The sensing process: reads the sensors, so that no driver can hang, leak or crash the process that holds the key.

``python -m edge.sensing`` reads one line from stdin, a `SensingOrder`, and writes one message a line to stdout:
readings, fixes, failures, and a heartbeat every second. It ends at the end of stdin or with SIGTERM. It has no key and
no network but gpsd's. Exit status: 0 told to end, 1 the order cannot be read (one sentence on stderr).
"""

import os
import select
import signal
import sys
import time
from dataclasses import dataclass
from typing import Final

from edge.sensors.messages import MESSAGE_MAX_BYTES, Heartbeat, Message, SensingOrder, decode_order, encode
from edge.sensors.opening import installed_drivers, open_sensor
from edge.sensors.rounds import SensorRounds
from edge.sensors.sensor import SensorError
from protocol.units import UnixMs

HEARTBEAT_S: Final = 1.0
_BELL_BYTES: Final = 4_096


def clock_ms() -> UnixMs:
    """Return the device's time."""
    return UnixMs(time.time_ns() // 1_000_000)


def main() -> int:
    """Read the order, then read sensors until told to end; return the exit status."""
    # What a driver prints must not be taken for a message.
    messages = os.dup(sys.stdout.fileno())
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        order = decode_order(_first_line(sys.stdin.fileno()))
    except SensorError as error:
        print(error, file=sys.stderr)  # noqa: T201  # this module is a door like a command
        return 1
    link = _Link.of(keeper=sys.stdin.fileno(), messages=messages)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the keeper, which ends us
    signal.signal(signal.SIGTERM, lambda *_: link.end())
    _sense(order, link)
    return 0


def _sense(order: SensingOrder, link: "_Link") -> None:
    drivers = installed_drivers()
    rounds = SensorRounds(
        order.addresses(),
        lambda address: open_sensor(address, drivers),
        period_ms=order.period_ms,
        now_s=time.monotonic(),
    )
    beat_s = time.monotonic()
    while not link.is_over:
        now_s = time.monotonic()
        for message in rounds.turn(now_s=now_s, now_ms=clock_ms(), wake=link.ring):
            link.tell(message)
        if now_s >= beat_s:
            beat_s = now_s + HEARTBEAT_S
            link.tell(Heartbeat(clock_ms(), len(rounds), rounds.failures))
        link.wait(max(0.0, rounds.next_s(at_most_s=beat_s) - time.monotonic()))
    rounds.stop()


@dataclass(slots=True)
class _Link:
    """Everything that this process waits for: its keeper, and a bell that its own threads and signals ring."""

    keeper: int
    messages: int
    bell: int
    bell_rope: int
    is_over: bool = False

    @classmethod
    def of(cls, *, keeper: int, messages: int) -> "_Link":
        bell, bell_rope = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        return cls(keeper, messages, bell, bell_rope)

    def ring(self) -> None:
        """End the present wait; may be called from anywhere."""
        try:
            os.write(self.bell_rope, b"!")
        except BlockingIOError:  # it is ringing already
            return

    def end(self) -> None:
        self.is_over = True
        self.ring()

    def wait(self, at_most_s: float) -> None:
        """Wait until the bell rings, the keeper says something, or the time is over."""
        ready, _, _ = select.select([self.keeper, self.bell], [], [], at_most_s)
        if self.bell in ready:
            os.read(self.bell, _BELL_BYTES)
        if self.keeper in ready and not os.read(self.keeper, _BELL_BYTES):
            self.is_over = True

    def tell(self, message: Message) -> None:
        """Write one line; a keeper that does not listen is waited for, one that has gone ends us."""
        line = encode(message)
        while line and not self.is_over:
            _, writable, _ = select.select([], [self.messages], [], HEARTBEAT_S)
            if not writable:
                continue
            try:
                # What a pipe that is writable takes at once.
                line = line[os.write(self.messages, line[: select.PIPE_BUF]) :]
            except BrokenPipeError:
                self.is_over = True


def _first_line(descriptor: int) -> bytes:
    line = b""
    while not line.endswith(b"\n") and len(line) < MESSAGE_MAX_BYTES:
        # Byte by byte is slow and takes nothing that comes after the line; it is read once.
        byte = os.read(descriptor, 1)
        if not byte:
            break
        line += byte
    return line


if __name__ == "__main__":
    status = main()
    sys.stderr.flush()
    # A driver that hangs must not keep its process alive: no thread is waited for.
    os._exit(status)
