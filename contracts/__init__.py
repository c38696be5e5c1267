"""What crosses Reelwire's borders: topics, requests, events, dead letters, and how they are written on the wire.

Other programs may import this package alone; it imports nothing of the service.
"""
