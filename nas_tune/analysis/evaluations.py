"""Names of what a trial records about how it was judged, as user attributes of the trial."""

from __future__ import annotations

EVALUATION = "evaluation"
SHARED_WEIGHTS = "shared-weights"
FROM_SCRATCH = "from-scratch"
SUPERNET_STEP = "supernet_step"
"""Optimiser steps, a whole number, that the super-net had done when it scored the trial: which checkpoint it was."""
