"""A stable, colour-blind safe colour for each kind of operation.

Colours: Okabe and Ito, "Color universal design", 2008.
"""

from __future__ import annotations

import re
from hashlib import sha256

_KINDS: tuple[tuple[str, str], ...] = (
    (r"^(input\w*|output)$", "#E8EAED"),
    (r"none|zero", "#C4C7CC"),
    (r"skip|identity|residual", "#009E73"),
    (r"pool", "#E69F00"),
    (r"dil|atrous", "#D55E00"),
    (r"sep|depthwise|dw_?conv|mbconv|mb_?k?\d|inverted", "#CC79A7"),
    (r"conv(?!.*[3-9]x?)(.*1x?1|1$)|1x1|linear|dense", "#56B4E9"),
    (r"conv|\dx\d", "#0072B2"),
    (r"concat|sum|add|mean", "#F0E442"),
)
_OTHERS = ("#B7A1D6", "#8FBF9F", "#C9A27E", "#9FB4C7")


def operation_colour(op: str) -> str:
    """Colour of an operation as `#rrggbb`, by its kind; an unknown kind gets one of four muted colours by its name."""
    for pattern, colour in _KINDS:
        if re.search(pattern, op.lower()):
            return colour
    return _OTHERS[sha256(op.encode()).digest()[0] % len(_OTHERS)]


def text_colour(background: str) -> str:
    """Black or white as `#rrggbb`, whichever is read better on `background`."""
    lightness = luminance(background)
    return "#000000" if (lightness + 0.05) / 0.05 >= 1.05 / (lightness + 0.05) else "#ffffff"


def luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb`, between 0 and 1, as WCAG 2 defines it."""
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
