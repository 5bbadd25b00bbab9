"""`moonraker-lite ports`: the serial ports, what hangs on them, and, where asked, which of them is a printer."""

from __future__ import annotations

import argparse
import asyncio
import sys

from moonraker_lite.marlin.ports import SerialPort


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--ask", action="store_true", help="ask each USB port that nobody uses for M115 (this may reset the board)"
    )
    parser.add_argument("--json", action="store_true", help="one JSON array instead of text")
    parser.add_argument("port", nargs="*", help="ask only these: paths, by-id names, socket://host:port")


def run(args: argparse.Namespace) -> int:
    """Returns 0, or 1 where ports were asked and no printer was found."""
    from moonraker_lite.marlin.ports import candidates, list_ports

    ports = [] if args.port else list_ports()
    urls = args.port or ([port.name for port in candidates(ports)] if args.ask else [])
    answers = asyncio.run(_ask_all(urls))
    if args.json:
        _print_json(ports, answers)
    else:
        _print_text(ports, answers)
    return int(bool(args.ask or args.port) and not any(firmware for _, firmware in answers.values()))


async def _ask_all(urls: list[str]) -> dict[str, tuple[int, str]]:
    """URL -> speed (0: no answer) and firmware, or why it could not be asked."""
    from moonraker_lite.marlin.link import LinkError
    from moonraker_lite.marlin.probe import ask

    answers: dict[str, tuple[int, str]] = {}
    for url in urls:
        print(f"asking {url} ...", file=sys.stderr)
        try:
            found = await ask(url)
        except LinkError as error:
            print(error.message, file=sys.stderr)
            continue
        answers[url] = (found.baud, found.firmware) if found else (0, "")
    return answers


def _print_json(ports: list[SerialPort], answers: dict[str, tuple[int, str]]) -> None:
    import msgspec

    rows = [msgspec.to_builtins(port) | {"name": port.name} for port in ports] or [{"name": url} for url in answers]
    for row in rows:
        if (answer := answers.get(row["name"])) is not None:
            row["baud"], row["firmware"] = answer
    print(msgspec.json.format(msgspec.json.encode(rows)).decode())


def _print_text(ports: list[SerialPort], answers: dict[str, tuple[int, str]]) -> None:
    if not ports and not answers:
        print("There is no serial port. Is the printer on, and is the cable one for data?")
    for port in ports:
        words = [port.manufacturer, port.product, port.usb_id and f"({port.usb_id})", port.serial_number]
        print(port.name)
        print(f"    {port.device}  {' '.join(word for word in words if word)}".rstrip())
        if port.locked_by is not None:
            print(f"    in use by process {port.locked_by}")
    for url, (baud, firmware) in answers.items():
        what = firmware or "a printer, though it does not say which"
        print(f"{url}: {baud} baud, {what}" if baud else f"{url}: no answer")
