"""Says what of this host may be run and opened: programs and files that somebody named."""
