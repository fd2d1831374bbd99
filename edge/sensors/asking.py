"""One sensor, asked once: what ``cairn-edge sensor read`` and ``doctor`` do."""

from concurrent.futures import ThreadPoolExecutor

from edge.sensors.fix import Fix
from edge.sensors.opening import foreign_words, installed_drivers, open_sensor
from edge.sensors.quantities import words_for
from edge.sensors.rounds import vetted
from edge.sensors.sensor import Measurement, SensorAddress, SensorError
from protocol.units import UnixMs


def read_once(address: SensorAddress, *, at_ms: UnixMs) -> tuple[Measurement, ...]:
    """Open the sensor at ``address``, read it once and close it.

    Raises:
        SensorError: no driver, no sensor, no measurement; whatever else a driver raises becomes that, too.
    """

    def read() -> tuple[Measurement, ...]:
        sensor = open_sensor(address, installed_drivers())
        try:
            return vetted(sensor.read(at_ms=at_ms), name=str(address))
        finally:
            sensor.close()

    # A thread hands back whatever was raised in it as a value: nothing foreign passes as an exception.
    with ThreadPoolExecutor(1) as alone:
        future = alone.submit(read)
        error = future.exception()
    if error is not None:
        raise SensorError(foreign_words(str(address), error)) from error
    return future.result()


def words_of(measurement: Measurement) -> str:
    """Return a measurement for people."""
    if not isinstance(measurement, Fix):
        return words_for(measurement)
    if not measurement.dimension:
        return "no fix yet"
    return f"a fix in {measurement.dimension} dimensions with {measurement.satellites} satellites"
