"""The command line ``nas-tune``."""

from nas_tune.cli.app import main

__all__ = ["main"]
