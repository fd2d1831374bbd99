"""Machines made of files (a Raspberry Pi, a Jetson, a bare PC), programs made of shell, and devices to examine."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from edge.care.clock_watch import KernelClock
from edge.care.host import Host
from edge.doctor.hub_word import HubWord
from edge.doctor.patient import FileNames, Patient, Told, World
from edge.doctor.tools import Tools
from edge.keeping.outbox import OutboxLimits
from edge.place import KEY_FILE, MODELS_FOLDER, OUTBOX_FILE, SEQUENCE_FILE
from edge.settings import SETTINGS_FILE
from protocol.units import UnixMs
from tests.support.edge_story import NETWORK, clock_ms, key_pair, make_device

FILES: Final = FileNames(KEY_FILE, SEQUENCE_FILE, OUTBOX_FILE, SETTINGS_FILE, MODELS_FOLDER)
HUB: Final = key_pair("hub").public_key
IN_STEP: Final = KernelClock(is_synchronised=True, error_max_ms=12)
ADRIFT: Final = KernelClock(is_synchronised=False, error_max_ms=16_000)
_MEMORY: Final = "MemTotal:        948304 kB\nMemFree:          80000 kB\nMemAvailable:     412000 kB\n"
_ZONE: Final = "sys/class/thermal/thermal_zone"

PI: Final = {
    "proc/meminfo": _MEMORY,
    "proc/device-tree/model": "Raspberry Pi 4 Model B Rev 1.4\x00",
    "proc/self/mountinfo": "26 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw\n",
    f"{_ZONE}0/type": "cpu-thermal\n",
    f"{_ZONE}0/temp": "48312\n",
    f"{_ZONE}0/trip_point_0_type": "critical\n",
    f"{_ZONE}0/trip_point_0_temp": "110000\n",
    "sys/devices/platform/soc/soc:firmware/get_throttled": "0\n",
    "sys/class/hwmon/hwmon0/name": "rpi_volt\n",
    "sys/class/hwmon/hwmon0/in0_lcrit_alarm": "0\n",
    "sys/devices/mmc/mmcblk0/device/type": "SD\n",
    "sys/devices/mmc/mmcblk0/mmcblk0p2/partition": "2\n",
}
JETSON: Final = {
    "proc/meminfo": _MEMORY.replace("948304", "7800000"),
    "proc/self/mountinfo": "26 1 179:1 / / rw - ext4 /dev/mmcblk0p1 rw\n",
    f"{_ZONE}0/type": "cpu-thermal\n",
    f"{_ZONE}0/temp": "51000\n",
    f"{_ZONE}1/type": "PMIC-Die\n",
    f"{_ZONE}1/temp": "100000\n",
    f"{_ZONE}2/type": "tj-thermal\n",
    f"{_ZONE}2/temp": "53500\n",
    f"{_ZONE}2/trip_point_0_type": "passive\n",
    f"{_ZONE}2/trip_point_0_temp": "95000\n",
    f"{_ZONE}2/trip_point_1_type": "critical\n",
    f"{_ZONE}2/trip_point_1_temp": "104500\n",
    "sys/class/thermal/cooling_device0/type": "cpufreq-cpu0\n",
    "sys/class/thermal/cooling_device0/cur_state": "0\n",
    "sys/class/thermal/cooling_device1/type": "pwm-fan\n",
    "sys/class/thermal/cooling_device1/cur_state": "3\n",
    "sys/class/hwmon/hwmon3/name": "soctherm_oc\n",
    "sys/class/hwmon/hwmon3/oc1_event_cnt": "0\n",
    "sys/devices/mmc/mmcblk0/device/type": "MMC\n",
    "sys/devices/mmc/mmcblk0/device/life_time": "0x03 0x02\n",
    "sys/devices/mmc/mmcblk0/device/pre_eol_info": "0x01\n",
    "sys/devices/mmc/mmcblk0/mmcblk0p1/partition": "1\n",
}
BARE: Final[dict[str, str]] = {}


def machine(root: Path, files: Mapping[str, str]) -> Path:
    """Write a machine: its files, and the links by which Linux finds a disk by its number."""
    for path, text in files.items():
        change(root, path, text)
    for link, target in (("179:2", "mmcblk0/mmcblk0p2"), ("179:1", "mmcblk0/mmcblk0p1")):
        if (root / "sys/devices/mmc" / target).is_dir():
            block = root / "sys/dev/block"
            block.mkdir(parents=True, exist_ok=True)
            (block / link).symlink_to(root / "sys/devices/mmc" / target)
    return root


def change(root: Path, path: str, text: str) -> None:
    """Let a file of the machine say something else."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def program(folder: Path, name: str, script: str) -> None:
    """Put a program into ``folder``; ``$HERE`` is that folder, where it may keep what it was told."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f'#!/bin/sh\nHERE="{folder}"\nPATH=/usr/bin:/bin\n{script}\n')
    path.chmod(0o755)


class Bed:
    """A device in a folder on a made-up machine: `patient` examines it anew each time."""

    def __init__(self, folder: Path, files: Mapping[str, str] = BARE) -> None:
        self.device = folder / "device"
        self.root = machine(folder / "machine", files)
        self.programs = folder / "programs"
        self.hub_word = HubWord("127.0.0.1:9", broker_complaint="the broker 127.0.0.1:9 cannot be reached")
        self.clock: KernelClock | None = IN_STEP
        self.user_id = 0  # root
        self.free_bytes = 5 << 30
        self.owners: dict[str, int] = {}  # by name; 1000 where not named
        self.camera = ""
        self.model = "yolox-nano"
        self.sensors: tuple[str, ...] = ()
        self.port = 9
        self.limits = OutboxLimits()
        self.now_ms: UnixMs | None = None
        make_device(self.device, hub=HUB, port=self.port)
        self.device.chmod(0o700)

    def patient(self, *, told: Told | str | None = None) -> Patient:
        world = World(
            now_ms=lambda: clock_ms() if self.now_ms is None else self.now_ms,
            ask_hub=lambda _: self.hub_word,
            host=Host(self.root, ask_kernel_clock=lambda: self.clock),
            tools=Tools(str(self.programs)),
            user_id=self.user_id,
            free_bytes=lambda _: self.free_bytes,
            owner_of=lambda path: self.owners.get(path.name, 1_000),
            give=lambda path, user_id: self.owners.update({path.name: user_id}),
        )
        return Patient(self.device, FILES, told=told or self._told(), world=world)

    def _told(self) -> Told:
        return Told(
            network=NETWORK,
            hub=HUB,
            broker_host="127.0.0.1",
            broker_port=self.port,
            camera_source=self.camera,
            folder_fps=10.0,
            model_name=self.model,
            model_threads=1,
            sensor_sources=self.sensors,
            outbox_limits=self.limits,
            warm_mdegc=70_000,
        )
