"""The console: what is in the topics, joined for people, over HTTP. `reelwire console` runs it."""
