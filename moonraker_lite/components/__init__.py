"""The features of the host, one module or package each.

`COMPONENTS` names them all as "module:class", in alphabetical order; what starts first follows from what each needs.
Third parties add theirs through the entry-point group `moonraker_lite.components`.
"""

from __future__ import annotations

COMPONENTS: tuple[str, ...] = ("moonraker_lite.components.authorization:Authorization",)
