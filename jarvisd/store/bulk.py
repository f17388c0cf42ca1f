"""The ledger's changes for thousands of rows at once: what it does to one row, by few statements in one transaction.

Each function works on rows that were read in the caller's transaction, and refuses rows that have changed since.
"""

from __future__ import annotations


# ---------------------------------------------------------------------------------------------------- how it is done
