"""From what agents decided to datasets: rows, pseudonyms, files, versions."""
