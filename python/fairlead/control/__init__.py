"""What is wanted, what happened: wishes, plans on their way to the engine, events, the socket."""
