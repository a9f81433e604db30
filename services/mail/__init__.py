"""The bridge for mail systems that publish no events: IMAP and SMTP in, SMTP and drafts out."""
