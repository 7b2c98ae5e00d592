"""Searches in tables: who searches, one search, the statistics of many, and their figure."""
