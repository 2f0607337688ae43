"""Figures for the documentation, made of results for record."""
