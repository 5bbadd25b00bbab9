"""Wire types of server.history, with the names of Moonraker."""

from __future__ import annotations

from typing import Any, Literal

import msgspec


class Job(msgspec.Struct, frozen=True):
    """A row. Times are seconds since 1970, durations seconds, filament millimetres.

    `job_id` is 6 or more hexadecimal digits. `metadata` are those of the file when it was printed. `exists` says
    whether the same file is still there.
    """

    job_id: str
    user: str
    filename: str
    status: str
    start_time: float
    end_time: float | None
    print_duration: float
    total_duration: float
    filament_used: float
    metadata: msgspec.Raw
    auxiliary_data: msgspec.Raw
    exists: bool


class ListParams(msgspec.Struct, frozen=True):
    """`before` bounds the end of jobs, `since` their start. `limit` 0 or less means all."""

    limit: int = 50
    start: int = 0
    before: float | None = None
    since: float | None = None
    order: str = "desc"


class JobList(msgspec.Struct, frozen=True):
    """`count` is the number of jobs in this answer."""

    count: int
    jobs: list[Job]


class JobParams(msgspec.Struct, frozen=True):
    uid: str


class JobAnswer(msgspec.Struct, frozen=True):
    job: Job


class DeleteParams(msgspec.Struct, frozen=True):
    """One job by `uid`, or `all`."""

    uid: str | None = None
    all: bool = False


class Deleted(msgspec.Struct, frozen=True):
    deleted_jobs: list[str]


class JobTotals(msgspec.Struct, frozen=True):
    """Sums and maxima over all jobs that ended since the last reset, deleted ones included."""

    total_jobs: float = 0.0
    total_time: float = 0.0
    total_print_time: float = 0.0
    total_filament_used: float = 0.0
    longest_job: float = 0.0
    longest_print: float = 0.0


class Totals(msgspec.Struct, frozen=True):
    """`auxiliary_totals` are those of sensors; there are none here."""

    job_totals: JobTotals
    auxiliary_totals: list[Any]


class LastTotals(msgspec.Struct, frozen=True):
    """What the totals were before the reset."""

    last_totals: JobTotals
    last_auxiliary_totals: list[Any]


class HistoryChange(msgspec.Struct, frozen=True):
    """notify_history_changed."""

    action: Literal["added", "finished"]
    job: Job
