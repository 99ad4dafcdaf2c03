"""In-memory view of the fleet as it is now, shared by the terminal, the web page and the REST API.

`kafka_feed.KafkaFeed` reads Kafka into `state.FleetState`; `model.View` answers queries with the types of `answers` and
`detail_answers`. Records stay packed as they arrived: of 10,000 hosts, only those on display are decoded.
"""
