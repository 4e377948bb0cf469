"""BaryIR: blind all-in-one image restoration."""
