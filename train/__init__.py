"""Training: sources, degradations, the barycenter objective and its max-min loop."""
