"""Cells that super-nets are asked to rank, what each reaches when it is trained alone, and the super-nets."""
