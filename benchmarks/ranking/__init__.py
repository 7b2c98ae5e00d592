"""The cells that super-nets are asked to rank, and what each of them reaches when it is trained alone."""
