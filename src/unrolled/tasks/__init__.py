"""What is learned from which data: text, music, voice, tables."""
