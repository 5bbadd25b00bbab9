"""Side-by-side measurements of this server, a real Moonraker and bare Tornado: `scripts/bench`."""
