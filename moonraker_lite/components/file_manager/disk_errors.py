"""What the operating system refuses, as sentences for clients. They never hold a path that the client did not name."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from moonraker_lite.errors import BadRequest, HostError, InsufficientStorage

_SENTENCES = {
    errno.ENOENT: "no such file or directory",
    errno.EEXIST: "it exists already",
    errno.ENOTEMPTY: "the directory is not empty",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.EISDIR: "it is a directory",
    errno.ENXIO: "it is no regular file",
    errno.EACCES: "the host may not do that; check the owner and the permissions",
    errno.EPERM: "the system does not permit it",
    errno.EROFS: "the file system is read-only",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EINVAL: "the file system does not take it",
    errno.EBUSY: "it is in use by the system",
    errno.ELOOP: "links lead in a circle",
    errno.EXDEV: "it is on another file system",
    errno.EIO: "the disk does not work properly",
}
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def as_host_error(error: OSError, what: str) -> HostError:
    """The answer for an error that happened while `what` was done ("Copying gcodes/a to gcodes/b")."""
    if error.errno in _FULL:
        return InsufficientStorage(f"{what} failed: there is not enough room on the disk")
    reason = _SENTENCES.get(error.errno or 0, "the system refused it")
    return BadRequest(f"{what} failed: {reason}")


@contextmanager
def explained(what: str) -> Iterator[None]:
    """Turn errors of the system into answers."""
    try:
        yield
    except OSError as error:
        raise as_host_error(error, what) from None
