"""Bare Tornado, as a yardstick: `python -m bench.bare PORT BODY_FILE [--asyncio]`.

GET / answers the bytes of the file from a plain RequestHandler; /websocket sends every message back.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from tornado.web import Application, RequestHandler
from tornado.websocket import WebSocketHandler


class Body(RequestHandler):
    """The same answer each time."""

    def initialize(self, body: bytes) -> None:
        self._body = body

    def get(self) -> None:
        self.set_header("Content-Type", "application/json; charset=UTF-8")
        self.write(self._body)


class Echo(WebSocketHandler):
    """Gives back what comes."""

    def on_message(self, message: str | bytes) -> None:
        self.write_message(message)


async def _serve(port: int, body: bytes) -> None:
    application = Application([("/", Body, {"body": body}), ("/websocket", Echo)], log_function=lambda handler: None)
    application.listen(port, "127.0.0.1")
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("port", type=int)
    parser.add_argument("body", type=Path)
    parser.add_argument("--asyncio", action="store_true", help="not uvloop, even where it is installed")
    args = parser.parse_args()
    factory = None
    if not args.asyncio:
        try:
            import uvloop

            factory = uvloop.new_event_loop
        except ImportError:
            pass
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(_serve(args.port, args.body.read_bytes()))


if __name__ == "__main__":
    main()
