"""The commands, one module each; nothing else in the program prints."""
