"""The features of the host, one module or package each.

`COMPONENTS` names them all as "module:class", in alphabetical order; what starts first follows from what each needs.
Third parties add theirs through the entry-point group `moonraker_lite.components`.
"""

from __future__ import annotations

COMPONENTS: tuple[str, ...] = (
    "moonraker_lite.components.announcements:Announcements",
    "moonraker_lite.components.authorization:Authorization",
    "moonraker_lite.components.data_store:DataStore",
    "moonraker_lite.components.database:DatabaseApi",
    "moonraker_lite.components.file_manager.manager:FileManager",
    "moonraker_lite.components.history.component:History",
    "moonraker_lite.components.job_queue:JobQueue",
    "moonraker_lite.components.machine:Machine",
    "moonraker_lite.components.octoprint_compat:OctoPrintCompat",
    "moonraker_lite.components.print_on_upload:PrintOnUpload",
    "moonraker_lite.components.printer:Printer",
    "moonraker_lite.components.printer:PrinterBridge",
    "moonraker_lite.components.printer_sd_card:PrinterSdCard",
    "moonraker_lite.components.server:Server",
    "moonraker_lite.components.webcam:Webcams",
)
