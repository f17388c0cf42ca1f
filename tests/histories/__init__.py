"""Histories: clients and faults at the same time, and a checker that knows what must be true of every such history."""
