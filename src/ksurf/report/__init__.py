"""Judgements on paper: Markdown, JSON, and the terminal."""
