"""The networks, their configs and the format of their weights."""
