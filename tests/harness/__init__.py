"""What the tests of a running fairlead are made of: clients, backends, namespaces, processes.

Nothing here imports fairlead: the tests under wire/ and fault/ see it only from outside.
"""
