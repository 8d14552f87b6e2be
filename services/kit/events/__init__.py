"""Domain events: written in the transaction of the change they describe, relayed to JetStream, handled once.

Subjects are `events.<service>.<noun>.<verb>`. Delivery is at least once, and in order per aggregate; the inbox hides
repeats. A gateway that only invalidates cache entries may use a plain subscription instead of a consumer.
"""
