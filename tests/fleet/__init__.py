"""Several machines, one queue: daemons, clients and faults at the same time, and a checker of what must be true."""
