"""How many calls a core carries: the measuring tool behind ``opusbridge bench``.

Nothing of the bridge is used here: it is measured from outside, in a process of its own, by
callers and a model that do as little as they can.
"""
