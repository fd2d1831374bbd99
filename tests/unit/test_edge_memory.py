"""What a process may let go of: pages of files that nobody has changed, and nothing else."""

import subprocess
import sys

from edge.memory import peak_rss_kib, rss_kib, unchanged_file_spans

SMAPS = """\
55d0c0000000-55d0c0001000 r--p 00000000 fe:01 1001                       /usr/bin/python3
Size:                  4 kB
Anonymous:             0 kB
55d0c0001000-55d0c0005000 r-xp 00001000 fe:01 1001                       /usr/bin/python3
Anonymous:             0 kB
55d0c0005000-55d0c0006000 r--p 00005000 fe:01 1001                       /usr/bin/python3
Anonymous:             4 kB
55d0c0006000-55d0c0008000 rw-p 00006000 fe:01 1001                       /usr/bin/python3
Anonymous:             0 kB
7f0000000000-7f0000100000 r--p 00000000 00:00 0
Anonymous:             0 kB
7f0000200000-7f0000300000 r-xp 00000000 fe:01 7                          /lib/with space.so (deleted)
Anonymous:             0 kB
7ffc00000000-7ffc00002000 r-xp 00000000 00:00 0                          [vdso]
Anonymous:             0 kB
"""
_PROGRAM = """
import onnxruntime, cv2, numpy
from edge.memory import give_back, rss_kib
before = rss_kib()
give_back()
after = rss_kib()
assert cv2.resize(numpy.zeros((8, 8, 3), numpy.uint8), (4, 4)).shape == (4, 4, 3)
assert onnxruntime.get_available_providers()
print(before - after)
"""


def test_only_unchanged_pages_of_files_that_cannot_be_written_count() -> None:
    assert unchanged_file_spans(SMAPS) == [
        (0x55D0C0000000, 0x1000),
        (0x55D0C0001000, 0x4000),
        (0x7F0000200000, 0x100000),
    ]


def test_a_process_that_has_loaded_its_libraries_gives_much_back_and_goes_on() -> None:
    outcome = subprocess.run([sys.executable, "-c", _PROGRAM], capture_output=True, text=True, check=True)
    assert int(outcome.stdout) > 10 * 1024


def test_a_process_knows_how_large_it_is_and_was() -> None:
    assert 0 < rss_kib() <= peak_rss_kib()
    assert rss_kib(2**22 + 1) == 0
