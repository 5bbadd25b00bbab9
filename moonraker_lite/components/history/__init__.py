"""History: one row per print, whatever happens to the printer, to the host or to the connection between them."""
