"""Which files a command reads and writes, under which names, and how they stay complete."""
