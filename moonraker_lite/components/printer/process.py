"""The printer process: started in a session of its own, found again by the next host, watched until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

POLL = 1.0  # s between two looks at a process where the kernel cannot tell us its end
TERMINATE_SECONDS = 5.0
MAX_LOG = 256 * 1024  # bytes of old complaints that are kept


class Record(msgspec.Struct, frozen=True):
    """What the pid file says: the process and the command it was started with."""

    pid: int
    command: list[str]


class PrinterProcess:
    """A running process. It is not ours to keep: it outlives the host on purpose."""

    def __init__(self, record: Record) -> None:
        self.record = record

    async def ended(self) -> int | None:
        """Wait for the end. Returns the exit status if it is our child, else None."""
        with contextlib.suppress(OSError):
            await _readable(os.pidfd_open(self.record.pid))
        while is_alive(self.record.pid):
            status = reap(self.record.pid)
            if status is not None:
                return status
            await asyncio.sleep(POLL)
        return reap(self.record.pid)

    async def terminate(self) -> None:
        """Ask it to end, and kill it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.record.pid, signal.SIGTERM)
            try:
                await asyncio.wait_for(self.ended(), TERMINATE_SECONDS)
            except TimeoutError:
                os.kill(self.record.pid, signal.SIGKILL)
                await self.ended()


class ProcessKeeper:
    """Starts the process at most once, however many hosts try: they agree by a lock and a pid file."""

    def __init__(self, pid_file: Path, log: Path) -> None:
        self._pid_file = pid_file
        self._log = log

    def running(self, marker: str) -> PrinterProcess | None:
        """The process of the pid file if it lives and its command line holds `marker` (its number may be reused)."""
        try:
            record = msgspec.json.decode(self._pid_file.read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None
        return PrinterProcess(record) if is_alive(record.pid) and marker in command_line(record.pid) else None

    def start(self, command: Sequence[str], marker: str) -> PrinterProcess:
        """The running process, or a new one: its own session, no terminal, its complaints in the log file.

        Raises:
            OSError: it cannot be started.
        """
        with self._locked():
            running = self.running(marker)
            if running is not None:
                return running
            record = Record(self._spawn(command), list(command))
            temporary = self._pid_file.with_suffix(".tmp")
            temporary.write_bytes(msgspec.json.encode(record))
            temporary.replace(self._pid_file)
            return PrinterProcess(record)

    def _spawn(self, command: Sequence[str]) -> int:
        """Not subprocess.Popen and not asyncio's: both believe that a child ends with its parent."""
        with contextlib.suppress(FileNotFoundError):
            if self._log.stat().st_size > MAX_LOG:
                self._log.unlink()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, str(self._log), flags, 0o644),
        ]
        return os.posix_spawn(
            command[0],
            list(command),
            os.environ,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE),
        )

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        lock = os.open(self._pid_file.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)


def is_alive(pid: int) -> bool:
    """Whether a process with this number runs (a zombie does not)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in ("Z", "X")


def command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def reap(pid: int) -> int | None:
    """Take the exit status of a child that has ended; None if it has not, or is no child of ours."""
    try:
        ended, status = os.waitpid(pid, os.WNOHANG)
    except ChildProcessError:
        return None
    return os.waitstatus_to_exitcode(status) if ended else None


def describe_exit(status: int | None) -> str:
    """A few words for the log and the user."""
    if status is None:
        return "it ended"
    if status >= 0:
        return f"exit status {status}"
    with contextlib.suppress(ValueError):
        return f"killed by {signal.Signals(-status).name}"
    return f"killed by signal {-status}"


async def _readable(pidfd: int) -> None:
    """A pidfd becomes readable when its process ends."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[None] = loop.create_future()
    try:
        loop.add_reader(pidfd, lambda: None if done.done() else done.set_result(None))
    except OSError as error:
        os.close(pidfd)
        raise OSError(errno.ENOSYS, "pidfd cannot be watched") from error
    try:
        await done
    finally:
        loop.remove_reader(pidfd)
        os.close(pidfd)
