"""Domain events: written in the transaction that made them true, relayed to JetStream, handled once.

Subjects are `events.<service>.<noun>.<verb>`. Delivery is at least once, and in order per aggregate; the inbox hides
repeats. A gateway that only drops cache entries may listen with a plain subscription instead of a consumer.
"""
