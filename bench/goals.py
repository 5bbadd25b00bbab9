"""What is measured, and what each figure has to reach.

A factor is always "how many times better than the reference": reference / ours where less is better, ours / reference
where more is. So 3 means a third of the time, or three times the throughput.
"""

from __future__ import annotations

import msgspec

OURS = "moonraker_lite"
MOONRAKER = "Moonraker"
BARE = "bare Tornado"
OCTOPRINT = "OctoPrint"


class Measure(msgspec.Struct, frozen=True):
    """One row. `goals` maps a reference to the least factor; `limit` is the most that our own
    figure may be, `least` the least."""

    title: str
    unit: str
    more_is_better: bool = False
    goals: dict[str, float] = {}
    limit: float | None = None
    least: float | None = None

    def factor(self, own: float, reference: float) -> float:
        """How many times better `own` is than `reference`."""
        better, worse = (own, reference) if self.more_is_better else (reference, own)
        return better / worse if worse else float("inf")


MEASURES: dict[str, Measure] = {
    "start_full": Measure(
        "start until the first answer of GET /server/info, full configuration", "s", goals={MOONRAKER: 3.0}
    ),
    "start": Measure("the same, small configuration", "s", goals={MOONRAKER: 3.0}),
    "rss_full": Measure("RSS after start, full configuration", "MiB", goals={MOONRAKER: 1.5}),
    "pss_full": Measure("PSS after start, full configuration", "MiB"),
    "rss": Measure("RSS after start, small configuration", "MiB", goals={MOONRAKER: 1.5}),
    "pss": Measure("PSS after start, small configuration", "MiB"),
    "rss_marlin_full": Measure(
        "RSS of host and Marlin process (Moonraker: alone), full", "MiB", goals={MOONRAKER: 1.0}
    ),
    "pss_marlin_full": Measure("PSS of host and Marlin process (Moonraker: alone), full", "MiB"),
    "rss_marlin": Measure("RSS of host and Marlin process (Moonraker: alone), small", "MiB", goals={MOONRAKER: 1.0}),
    "pss_marlin": Measure("PSS of host and Marlin process (Moonraker: alone), small", "MiB"),
    "http_1": Measure("GET /server/info, 1 connection", "1/s", more_is_better=True, goals={BARE: 0.85}),
    "http_10": Measure("GET /server/info, 10 connections", "1/s", more_is_better=True, goals={BARE: 0.85}),
    "ws_1": Measure("websocket server.info (bare: echo), 1 client", "1/s", more_is_better=True, goals={BARE: 0.85}),
    "ws_50": Measure("websocket server.info (bare: echo), 50 clients", "1/s", more_is_better=True, goals={BARE: 0.85}),
    "upload": Measure("upload of a big file until 201", "MB/s", more_is_better=True, goals={MOONRAKER: 2.0}),
    "upload_memory": Measure("more memory while uploading (peak RSS)", "MiB", limit=8.0),
    "download": Measure("download of a big file", "MB/s", more_is_better=True, goals={MOONRAKER: 1.5}),
    "drop_1": Measure("one file put into gcodes until its metadata is served", "ms", goals={MOONRAKER: 3.0}),
    "drop_many": Measure("{files} files put into gcodes until all have metadata", "s", goals={MOONRAKER: 50.0}),
    "list": Measure("files.list of {files} files", "ms", goals={MOONRAKER: 50.0}),
    "directory": Measure("extended directory of {files} files", "ms", goals={MOONRAKER: 25.0}),
    "rss_loaded": Measure("RSS after all that, {files} files with metadata", "MiB"),
    "meta_1": Measure("CPU of the metadata of one file of 1 MB", "ms", goals={MOONRAKER: 25.0}),
    "meta_20": Measure("CPU of the metadata of one file of 20 MB", "ms", goals={MOONRAKER: 25.0}),
    "meta_200": Measure("CPU of the metadata of one file of 200 MB", "ms", goals={MOONRAKER: 25.0}),
    "meta_over_1": Measure("the same over reading both ends and one regex pass, 1 MB", "x", limit=3.0),
    "meta_over_20": Measure("the same over reading both ends and one regex pass, 20 MB", "x", limit=3.0),
    "meta_over_200": Measure("the same over reading both ends and one regex pass, 200 MB", "x", limit=3.0),
    "start_known": Measure("start with 10,000 files of known metadata: more than with none", "s", limit=1.0),
    "lag_scan": Measure("event loop lag at most while {files} files are scanned", "ms", limit=10.0),
    "answer_idle": Measure("slowest GET /server/info of all in 3 s, nothing else going on", "ms"),
    "answer_scan": Measure("slowest GET /server/info of all while {files} files are scanned", "ms"),
    "lines_quiet": Measure("lines per second of a print, nothing else going on", "1/s", more_is_better=True),
    "lines_scan": Measure("the same while {files} files are scanned: less by", "%", limit=2.0),
    "cpu_0": Measure("CPU while printing, nobody connected", "%", goals={MOONRAKER: 1.0}),
    "cpu_1": Measure("CPU while printing, 1 subscribed client", "%", goals={MOONRAKER: 1.0}),
    "cpu_20": Measure("CPU while printing, 20 subscribed clients", "%", goals={MOONRAKER: 1.0}),
    "op_http": Measure("CPU of one GET /server/info", "ms"),
    "op_ws": Measure("CPU of one websocket server.info", "ms"),
    "op_list": Measure("CPU of one files.list", "ms"),
    "op_directory": Measure("CPU of one extended directory", "ms"),
    "op_upload": Measure("CPU of one upload with metadata", "ms"),
    "op_download": Measure("CPU of one download", "ms"),
    "op_drop": Measure("CPU of one dropped file with metadata (with child processes)", "ms"),
}

# The line to a Marlin board, measured beside OctoPrint.
LINE_MEASURES: dict[str, Measure] = {
    "line_rate": Measure(
        "lines per second over a pty, a firmware that answers at once",
        "1/s",
        more_is_better=True,
        goals={OCTOPRINT: 4.0},
    ),
    "line_cpu": Measure("CPU of one such line", "µs", goals={OCTOPRINT: 4.0}),
    "wire_115200_plain": Measure("share of a wire of 115,200 baud that is used, plain ok", "%", least=97.0),
    "wire_115200_advanced": Measure("the same, ADVANCED_OK", "%", least=97.0),
    "wire_250000_plain": Measure("share of a wire of 250,000 baud that is used, plain ok", "%", least=97.0),
    "wire_250000_advanced": Measure("the same, ADVANCED_OK", "%", least=97.0),
    "wire_lost": Measure("bytes that a receive buffer of 128 lost on these wires", "bytes", limit=0.0),
    "wire_starved": Measure(
        "times that the planner ran empty, ADVANCED_OK, moves 5 % longer than lines", "", limit=0.0
    ),
    "line_damaged": Measure(
        "5,000 lines, of which 5 % arrive damaged, 1 % of the oks twice", "s", goals={OCTOPRINT: 1.0}
    ),
    "line_lost": Measure("5,000 lines, of which 3 get no ok", "s", goals={OCTOPRINT: 1.0}),
    "lines_alone": Measure("lines per second through the whole host, 250,000 baud", "1/s", more_is_better=True),
    "lines_hammered": Measure("the same while 50 clients call without pause: less by", "%", limit=2.0),
}
MEASURES |= LINE_MEASURES
