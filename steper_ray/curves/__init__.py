"""The course of a training: read from its journal, drawn as lines over updates."""
