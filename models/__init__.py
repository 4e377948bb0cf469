"""The networks, their configurations and the format of their weights."""
