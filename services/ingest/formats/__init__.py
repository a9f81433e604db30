"""One module per family of file formats; each turns bytes into blocks of plain text."""
