"""What `m0-cockpit doctor` examines, one file an area.

Everything here only looks: no object is changed, no message is posted.

The clients are the sources' own (the same addresses, credentials, TLS and words for what goes
wrong), so that what the doctor finds is what the screen will meet.
"""
