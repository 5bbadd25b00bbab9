"""The worker process: requests in, answers out, one line each."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from moonraker_lite.gcode_metadata.worker import MAX_LINE

SAMPLES = Path(__file__).resolve().parents[1] / "data" / "gcode"


class Worker:
    """The real process on pipes."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "moonraker_lite.gcode_metadata.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def ask(self, line: bytes) -> dict[str, Any]:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()
        answer: dict[str, Any] = msgspec.json.decode(self.process.stdout.readline())
        return answer

    def tell(self, **request: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(msgspec.json.encode(request) + b"\n")
        self.process.stdin.flush()

    def hear(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        answer: dict[str, Any] = msgspec.json.decode(self.process.stdout.readline())
        return answer

    def scan(self, number: int, path: Path, thumbs_dir: Path | None = None) -> dict[str, Any]:
        folder = None if thumbs_dir is None else str(thumbs_dir)
        return self.ask(msgspec.json.encode({"id": number, "path": str(path), "thumbs_dir": folder}))


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    _, complaints = worker.process.communicate(timeout=10)  # closes standard input
    assert worker.process.returncode == 0
    assert complaints == b""


def test_answers_in_order_and_ends_with_its_input(worker: Worker, tmp_path: Path) -> None:
    first = worker.scan(1, SAMPLES / "prusaslicer.gcode", tmp_path / "thumbs")
    second = worker.scan(2, SAMPLES / "plain.gcode")
    assert (first["id"], first["metadata"]["slicer"]) == (1, "PrusaSlicer")
    assert len(first["metadata"]["thumbnails"]) == len(list((tmp_path / "thumbs").iterdir())) == 3
    assert (second["id"], second["metadata"]["slicer"]) == (2, "Unknown")
    assert set(second) == {"id", "metadata"}


def test_files_that_cannot_be_read(worker: Worker, tmp_path: Path) -> None:
    assert worker.scan(3, tmp_path / "none.gcode") == {
        "id": 3,
        "error": "The file cannot be read: No such file or directory",
    }
    assert worker.scan(4, tmp_path)["error"] == "The file cannot be read: Not a regular file"
    assert "error" in worker.ask(b'{"id": 5, "path": "a\\u0000b"}')
    assert worker.scan(6, SAMPLES / "cura.gcode")["metadata"]["slicer"] == "Cura"


@pytest.mark.parametrize("line", [b"", b"nonsense", b"[]", b"{}", b'{"id": "x", "path": "y"}', b'{"id": 1}', b"\xff"])
def test_lines_that_are_no_request(worker: Worker, line: bytes) -> None:
    answer = worker.ask(line)
    assert answer["id"] is None
    assert answer["error"].startswith("The request is not understood")
    assert worker.scan(7, SAMPLES / "cura.gcode")["id"] == 7


@pytest.mark.parametrize("length", [MAX_LINE - 1, MAX_LINE, MAX_LINE + 1, 5 * MAX_LINE])
def test_a_line_that_is_too_long(worker: Worker, length: int) -> None:
    assert worker.ask(b"x" * length)["id"] is None
    assert worker.scan(8, SAMPLES / "cura.gcode")["id"] == 8


def test_ctrl_c_in_the_hosts_terminal_does_not_end_it(worker: Worker) -> None:
    assert worker.scan(1, SAMPLES / "cura.gcode")["id"] == 1
    worker.process.send_signal(signal.SIGINT)
    assert worker.scan(2, SAMPLES / "cura.gcode")["id"] == 2


def test_a_host_that_is_gone() -> None:
    worker = Worker()
    assert worker.process.stdin is not None
    assert worker.process.stdout is not None
    worker.process.stdout.close()
    worker.process.stdin.write(b'{"id": 1, "path": "/none"}\n' * 3)
    worker.process.stdin.close()
    assert worker.process.stderr is not None
    with worker.process.stderr as stderr:
        assert stderr.read() == b""
    assert worker.process.wait(timeout=10) == 0


@pytest.fixture(scope="module")
def long_print(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some seconds of work."""
    path = tmp_path_factory.mktemp("long") / "long.gcode"
    layer = b"".join(b"G1 X%d Y%d E.1 ; no plain line\n" % (index % 200, index % 77) for index in range(10_000))
    path.write_bytes(b"M83\n" + b"".join(b"G1 Z%d.2\n%b" % (z, layer) for z in range(120)))
    return path


def test_all_moves_of_a_file(worker: Worker) -> None:
    worker.tell(id=1, path=str(SAMPLES / "prusaslicer.gcode"), work="moves")
    answer = worker.hear()
    assert answer["id"] == 1
    assert set(answer["moves"]) >= {"object_height", "layer_count", "filament_total", "bounding_box"}
    worker.tell(id=2, path="/nothing", work="moves")
    assert worker.hear() == {"id": 2, "error": "The file cannot be read: No such file or directory"}


def test_scans_do_not_wait_for_long_work(worker: Worker, long_print: Path) -> None:
    worker.tell(id=1, path=str(long_print), work="moves")
    worker.tell(id=2, path=str(long_print), work="moves")
    for number in range(3, 10):
        worker.tell(id=number, path=str(SAMPLES / "cura.gcode"))
        answer = worker.hear()
        while "done" in answer:
            answer = worker.hear()
        assert answer["id"] == number
    worker.tell(id=1, path="", work="cancel")
    worker.tell(id=2, path="", work="cancel")
    assert worker.scan(10, SAMPLES / "cura.gcode")["id"] == 10


def test_long_work_rests_and_goes_on(worker: Worker, long_print: Path) -> None:
    worker.tell(id=0, path="", work="pace", pace=0)
    worker.tell(id=1, path=str(SAMPLES / "prusaslicer.gcode"), work="moves")
    worker.tell(id=2, path=str(SAMPLES / "cura.gcode"))
    assert worker.hear()["id"] == 2  # the first would be done by now
    worker.tell(id=0, path="", work="pace", pace=0.5)
    assert worker.hear()["id"] == 1
    worker.tell(id=3, path=str(long_print), work="moves")
    assert 0 < worker.hear()["done"] < 1
    worker.tell(id=0, path="", work="pace", pace=0)
    worker.tell(id=3, path="", work="cancel")
    answer = worker.scan(4, SAMPLES / "cura.gcode")
    while "done" in answer:
        answer = worker.hear()
    assert answer["id"] == 4


def test_the_end_of_input_ends_long_work(worker: Worker, long_print: Path) -> None:
    worker.tell(id=1, path=str(long_print), work="moves")  # the fixture waits for the end


def test_a_file_that_needs_too_much_memory_is_no_end(tmp_path: Path) -> None:
    """The bound is set by the process itself."""
    code = (
        "import resource, sys; from moonraker_lite.gcode_metadata import worker; worker._bound_memory();"
        "limit = resource.getrlimit(resource.RLIMIT_AS)[0]; assert 0 < limit <= worker.MAX_MEMORY;"
        "answer = worker._guarded(worker.Request(1, ''), lambda request: bytearray(2 * worker.MAX_MEMORY));"
        "assert 'memory' in answer.error, answer"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
