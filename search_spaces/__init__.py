"""Published search spaces, one file each; import them as ``nas_tune.search_spaces``."""

from .nas_bench_201 import NASBench201

SPACES = {"nas-bench-201": NASBench201}
"""Every published space by the name that the command line takes."""

__all__ = ["SPACES", "NASBench201"]
