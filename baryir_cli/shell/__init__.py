"""What is common to all commands on a terminal: how lines are typed, what is shown."""
