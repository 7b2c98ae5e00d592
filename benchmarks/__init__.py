"""One module per claim about speed or quality; see :mod:`benchmarks.contract` for how to write one."""
