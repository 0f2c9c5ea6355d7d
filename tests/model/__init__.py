"""Explores what agents, coordinators and Redis can come to together, on the real code.

The states that can be reached by a few steps and faults are visited breadth first: the agents' core, the
coordinator's driver and ledger, and the Lua scripts on a real server. Every state is checked for what
`docs/architecture.md` promises.
"""
