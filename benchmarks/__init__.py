"""How fast it is, beside what the machine could do at best in the same run. Not shipped: see README.md."""
