"""Bodies of OctoPrint's API, in the shapes that Moonraker answers: not wrapped, OctoPrint's names."""

from __future__ import annotations

from typing import Any

import msgspec

from moonraker_lite.components.octoprint_compat.settings import OctoPrintSettings


class Version(msgspec.Struct, frozen=True):
    """PrusaSlicer and its relatives want `text` to begin with "OctoPrint"."""

    server: str
    api: str
    text: str


class ServerStatus(msgspec.Struct, frozen=True):
    server: str
    safemode: str | None = None


class Login(msgspec.Struct, frozen=True, rename={"external": "_is_external_client", "mechanism": "_login_mechanism"}):
    """Whoever may call is OctoPrint's administrator."""

    external: bool = False
    mechanism: str = "apikey"
    name: str = "_api"
    active: bool = True
    user: bool = True
    admin: bool = True
    apikey: str | None = None
    permissions: tuple[str, ...] = ()
    groups: tuple[str, ...] = ("admins", "users")


class JobFile(msgspec.Struct, frozen=True):
    name: str | None = None


class Filament(msgspec.Struct, frozen=True):
    length: float | None = None


class JobDetails(msgspec.Struct, frozen=True, rename="camel"):
    file: JobFile = JobFile()
    estimated_print_time: float | None = None
    filament: Filament = Filament()
    user: str | None = None


class JobProgress(msgspec.Struct, frozen=True, rename="camel"):
    completion: float | None = None
    filepos: int | None = None
    print_time: float | None = None
    print_time_left: float | None = None
    print_time_origin: str | None = None


class Job(msgspec.Struct, frozen=True):
    """Only the state has a meaning; Moonraker answers nothing else here either."""

    state: str
    job: JobDetails = JobDetails()
    progress: JobProgress = JobProgress()


class Temperature(msgspec.Struct, frozen=True):
    """In °C."""

    actual: float
    offset: int
    target: float


class Flags(msgspec.Struct, frozen=True, rename={"closed_or_error": "closedOrError"}):
    """Cura needs all eight."""

    operational: bool
    paused: bool
    printing: bool
    cancelling: bool
    pausing: bool
    error: bool
    ready: bool
    closed_or_error: bool


class StateInfo(msgspec.Struct, frozen=True):
    text: str
    flags: Flags


class PrinterStatus(msgspec.Struct, frozen=True):
    """`temperature` has `bed` and `tool0`..., of the heaters that there are."""

    temperature: dict[str, Temperature]
    state: StateInfo


def state_info(text: str) -> StateInfo:
    """OctoPrint's flags for one of the states Operational, Printing, Paused, Error and Offline."""
    return StateInfo(
        text,
        Flags(
            operational=text in ("Operational", "Printing", "Paused"),
            paused=text == "Paused",
            printing=text == "Printing",
            cancelling=False,
            pausing=False,
            error=text == "Error",
            ready=text == "Operational",
            closed_or_error=text in ("Error", "Offline"),
        ),
    )


def settings_body(settings: OctoPrintSettings) -> dict[str, Any]:
    """The answer of /api/settings. The plugin is what makes Cura upload UFP packages, which carry pictures."""
    ufp = {
        "align_inline_thumbnail": False,
        "inline_thumbnail": False,
        "inline_thumbnail_align_value": "left",
        "inline_thumbnail_scale_value": "50",
        "installed": True,
        "installed_version": "0.2.2",
        "scale_inline_thumbnail": False,
        "state_panel_thumbnail": True,
    }
    return {
        "plugins": {"UltimakerFormatPackage": ufp} if settings.enable_ufp else {},
        "feature": {"sdSupport": False, "temperatureGraph": False},
        "webcam": {
            "flipH": settings.flip_h,
            "flipV": settings.flip_v,
            "rotate90": settings.rotate_90,
            "streamUrl": settings.stream_url,
            "webcamEnabled": settings.webcam_enabled,
        },
    }


def profiles_body() -> dict[str, Any]:
    """The answer of /api/printerprofiles: one profile with OctoPrint's default speeds (mm/min)."""
    speeds = (("x", 6000.0), ("y", 6000.0), ("z", 6000.0), ("e", 300.0))
    profile = {
        "id": "_default",
        "name": "Default",
        "color": "default",
        "model": "Default",
        "default": True,
        "current": True,
        "heatedBed": True,
        "heatedChamber": False,
        "axes": {axis: {"speed": speed, "inverted": False} for axis, speed in speeds},
    }
    return {"profiles": {"_default": profile}}
