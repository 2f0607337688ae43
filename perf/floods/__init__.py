"""Floods from one peer, and what another client of the same server feels of them."""
