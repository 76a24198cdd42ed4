"""Folders on object storage: published whole, fetched whole, checked file by file."""
