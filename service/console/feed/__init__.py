"""Reads Kafka into the model, with connections of the console's own and without a consumer group."""
