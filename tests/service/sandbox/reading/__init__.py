"""Reading tables, in this process: each format, encoding, header, number, date and type, and hostile files."""
