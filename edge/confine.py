"""A child process that cannot do what it has no business doing: no network for who sees pictures, no key for anybody.

``python -m edge.confine '{"module": "edge.sight.vision", ...}'`` takes rights away from itself, for good and for every
thread to come, and only then imports and runs the module. Linux does it without root:

* seccomp (seccomp(2), BPF over ``struct seccomp_data``) lets ``socket`` and ``socketpair`` make local sockets only;
* Landlock (landlock(7), since 5.13) lets it open nothing but the paths it is given: the key file is not among them.

What a kernel lacks is left out and said in the variable ``CAIRN_CONFINED``, from where it reaches the status.
Tested in tests/integration/test_confinement.py.
"""

import ctypes
import importlib
import os
import platform
import signal
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import msgspec

CONFINED_VARIABLE: Final = "CAIRN_CONFINED"

_PR_SET_PDEATHSIG: Final = 1
_PR_SET_NO_NEW_PRIVS: Final = 38
_PR_SET_SECCOMP: Final = 22
_SECCOMP_MODE_FILTER: Final = 2
_ALLOW: Final = 0x7FFF0000
_REFUSE: Final = 0x00050000 | 13  # errno EACCES
_LOAD, _JUMP_EQUAL, _RETURN = 0x20, 0x15, 0x06
_IO_URING_SETUP: Final = 425  # could open sockets without the calls below
# AUDIT_ARCH and the numbers of socket and socketpair; another instruction set is not confined rather than guessed at.
_ARCHITECTURES: Final = {"x86_64": (0xC000003E, (41, 53)), "aarch64": (0xC00000B7, (198, 199))}

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_EXECUTE, _WRITE, _READ, _LIST = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES: Final = _EXECUTE | _WRITE | _READ | _TRUNCATE | _IOCTL  # what may be granted on something that is no folder
_READING: Final = _EXECUTE | _READ | _LIST
# Folders of the system without which neither Python nor a driver starts. Nothing of the owner's lies there.
_SYSTEM_READ: Final = ("/usr", "/lib", "/lib64", "/bin", "/etc", "/opt", "/proc", "/sys", "/run")
_SYSTEM_WRITE: Final = ("/dev",)  # cameras, serial ports and accelerators are files here; rights on them still hold


class Confinement(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a child may still do, and what it then runs."""

    module: str  # has main() -> int
    read: tuple[str, ...] = ()  # paths it may read beside the system's and Python's own
    write: tuple[str, ...] = ()  # paths it may also write
    has_network: bool = False
    arguments: tuple[str, ...] = ()  # become sys.argv[1:]
    parent_pid: int = 0  # who starts it, and with whom it ends; 0: whoever is there when it looks


class _Instruction(ctypes.Structure):
    _fields_ = (("code", ctypes.c_ushort), ("yes", ctypes.c_ubyte), ("no", ctypes.c_ubyte), ("k", ctypes.c_uint))


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.POINTER(_Instruction)))


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"
    _fields_ = (("allowed", ctypes.c_uint64), ("folder", ctypes.c_int32))


def confined_command(confinement: Confinement) -> list[str]:
    """Return the command line that runs ``confinement``; -P keeps the working folder out of what may be imported."""
    told = msgspec.structs.replace(confinement, parent_pid=os.getpid())
    return [sys.executable, "-P", "-m", "edge.confine", msgspec.json.encode(told).decode()]


def confine(*, read: Iterable[str], write: Iterable[str], has_network: bool) -> tuple[str, ...]:
    """Take rights away from this thread and all that come after it; return what was really enforced.

    Args:
        read: paths that may be read, beside the system's and Python's own; those that do not exist are left out.
        write: paths that may also be written.
        has_network: whether sockets beyond this machine's own local ones may be made.
    """
    if sys.platform != "linux":
        return ()
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0:
        return ()
    enforced = []
    if _restrict_files(libc, [*_SYSTEM_READ, *_python_folders(), *read], [*_SYSTEM_WRITE, *write]):
        enforced.append("files")
    if not has_network and _restrict_sockets(libc):
        enforced.append("network")
    return tuple(enforced)


def die_with_parent(parent_pid: int = 0) -> None:
    """Have the kernel end this process when the one that started it ends, however that comes about.

    Args:
        parent_pid: the one that started it; 0 where that is not known. It may have ended before we came this far.
    """
    if sys.platform == "linux":
        parent = parent_pid or os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:  # it has ended already
            os.kill(os.getpid(), signal.SIGKILL)


def main() -> int:
    """Confine this process and run the module that the one argument names."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in a terminal is for the keeper, which ends its children
    order = msgspec.json.decode(sys.argv[1], type=Confinement)
    die_with_parent(order.parent_pid)
    enforced = confine(read=order.read, write=order.write, has_network=order.has_network)
    os.environ[CONFINED_VARIABLE] = ",".join(enforced)
    sys.argv = [order.module, *order.arguments]
    run: Callable[[], int] = importlib.import_module(order.module).main
    status = run()
    sys.stdout.flush()
    sys.stderr.flush()
    # At once: threads of the libraries below abort an interpreter that takes its time, and nothing is left to do.
    os._exit(status)


def _restrict_sockets(libc: ctypes.CDLL) -> bool:
    known = _ARCHITECTURES.get(platform.machine())
    if known is None:
        return False
    audit_arch, calls = known
    # struct seccomp_data: int nr; u32 arch; u64 instruction_pointer; u64 args[6]. Jumps count from the next one.
    program = [
        (_LOAD, 0, 0, 4),
        (_JUMP_EQUAL, 0, 6, audit_arch),  # a foreign calling convention: refused
        (_LOAD, 0, 0, 0),
        (_JUMP_EQUAL, 4, 0, _IO_URING_SETUP),
        (_JUMP_EQUAL, 1, 0, calls[0]),
        (_JUMP_EQUAL, 0, 3, calls[1]),
        (_LOAD, 0, 0, 16),  # the family
        (_JUMP_EQUAL, 1, 0, 1),  # AF_UNIX
        (_RETURN, 0, 0, _REFUSE),
        (_RETURN, 0, 0, _ALLOW),
    ]
    instructions = (_Instruction * len(program))(*[_Instruction(*each) for each in program])
    filled = _Program(len(program), instructions)
    return bool(libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, ctypes.byref(filled), 0, 0) == 0)


def _restrict_files(libc: ctypes.CDLL, read: list[str], write: list[str]) -> bool:
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    rights = (1 << (13 if version == 1 else 14 if version == 2 else 15 if version < 5 else 16)) - 1
    handled = ctypes.c_uint64(rights)
    ruleset = libc.syscall(_CREATE_RULESET, ctypes.byref(handled), ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    try:
        for path in read:
            _grant(libc, ruleset, path, _READING & rights)
        for path in write:
            _grant(libc, ruleset, path, rights & ~_EXECUTE)
        return bool(libc.syscall(_RESTRICT_SELF, ruleset, 0) == 0)
    finally:
        os.close(ruleset)


def _grant(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there cannot be granted, and is not missed
    try:
        allowed = rights if Path(path).is_dir() else rights & _OF_FILES
        rule = _PathBeneath(allowed, opened)
        libc.syscall(_ADD_RULE, ruleset, 1, ctypes.byref(rule), 0)
    finally:
        os.close(opened)


def _python_folders() -> list[str]:
    # Our packages one by one: in a checkout their common folder may well hold a device's directory.
    here = Path(__file__).resolve().parent
    packages = [str(path) for path in here.parent.iterdir() if (path / "__init__.py").is_file()]
    libraries = [path for path in sys.path if path and path != str(here.parent)]
    return [sys.prefix, sys.base_prefix, sys.exec_prefix, *libraries, *packages]


if __name__ == "__main__":
    sys.exit(main())
