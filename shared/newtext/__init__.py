"""What is new in an e-mail's text: its segments, without quotes, forwards and signatures. Pure."""
