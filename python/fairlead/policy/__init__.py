"""Pick in Python: what a policy is, and the thread that asks it."""
