"""``baryir train``: a requested run and what is shown of it."""
