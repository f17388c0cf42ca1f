"""Power cuts, replayed: what a disk may hold at every moment of a short life, and what must be true of each state.

A life is recorded with strace: every write, flush and rename below one home. A state of the disk is then built for a
moment: what was flushed is there; what was not may be there, missing, there in part, or torn within a sector of 512
bytes; names that were not flushed with their folder may be there or missing. This is a model of a disk, not a disk:
what a drive does with a flush is not tested.
"""
