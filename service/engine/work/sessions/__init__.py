"""The upload of a large video in chunks, which another process can go on with."""
