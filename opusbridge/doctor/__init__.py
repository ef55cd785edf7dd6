"""Would a call work? Each thing a call needs is looked at, and what is wrong has its cure."""
