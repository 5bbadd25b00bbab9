"""`[file_manager]` of the configuration, with Moonraker's options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class FileManagerSettings(msgspec.Struct, frozen=True):
    """`file_system_observer: none` means that changes made outside of the API are noticed when somebody lists.

    `default_metadata_parser_timeout` is in seconds. `enable_move_analysis`: what a file does not state (height, layers,
    filament, the room it takes) is found in its moves; `move_analysis_pace` is the part of the time that this may take
    while the printer prints or files come in, 0 makes it wait.
    `enable_inotify_warnings` is the old name of
    `enable_observer_warnings`.
    """

    enable_object_processing: bool = False
    queue_gcode_uploads: bool = False
    file_system_observer: Literal["inotify", "none"] = "inotify"
    enable_observer_warnings: bool = True
    enable_inotify_warnings: bool | None = None
    enable_config_write_access: bool = True
    check_klipper_config_path: bool = True
    enable_move_analysis: bool = True
    move_analysis_pace: Annotated[float, Meta(ge=0, le=1)] = 0.1
    default_metadata_parser_timeout: Annotated[float, Meta(gt=0)] = 20.0

    @property
    def observer_warnings(self) -> bool:
        if self.enable_inotify_warnings is None:
            return self.enable_observer_warnings
        return self.enable_inotify_warnings


class SecretsSettings(msgspec.Struct, frozen=True):
    """`[secrets]`: where the secrets file is, which no path may lead to."""

    secrets_path: Path | None = None
