"""The one error tree.

Every error that may reach a client is a `HostError`. Its `status` is the HTTP status; JSON-RPC codes are derived from
it in `api.answers`, which is the only place that turns errors into answers. The message says what was wrong and how to
mend it; it never holds a secret or a path outside the data the client already knows.
"""

from __future__ import annotations


class HostError(Exception):
    """Base of all errors that are answered to a client."""

    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class BadRequest(HostError):
    """The request is malformed or asks for something impossible."""

    status = 400


class Unauthorized(HostError):
    """No valid credential came with the request."""

    status = 401


class Forbidden(HostError):
    """The request is understood and refused: reserved, in use, or not permitted."""

    status = 403


class NotFound(HostError):
    """No such endpoint, file, row or key."""

    status = 404


class MethodNotAllowed(HostError):
    """The path exists, the verb (or a write to a read-only root) does not."""

    status = 405


class Conflict(HostError):
    """The request contradicts what is going on, for example a print while printing."""

    status = 409


class PayloadTooLarge(HostError):
    """A body, part or message over its bound."""

    status = 413


class UnsupportedMediaType(HostError):
    """A body in a format that this endpoint does not read."""

    status = 415


class UnprocessableContent(HostError):
    """The upload arrived, but is not what the client announced (checksum)."""

    status = 422


class TooManyRequests(HostError):
    """A client exceeded its share; try again later."""

    status = 429


class Unavailable(HostError):
    """The printer back end (or a component) is not there now; the same call may succeed later."""

    status = 503


class InsufficientStorage(HostError):
    """The file system has not enough room for the body that was announced."""

    status = 507


class InternalError(HostError):
    """Our own fault. The message is general; the cause is in the log."""

    status = 500
