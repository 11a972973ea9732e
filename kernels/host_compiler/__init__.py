"""The host compiler: a graph becomes machine code, library calls and views (see `lower`)."""
