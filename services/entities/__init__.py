"""Tags and mentions in texts: one parser, for the service that stores and the gateway that shows them."""
