"""Large videos: upload sessions of the platform, and the storage that takes their chunks."""
