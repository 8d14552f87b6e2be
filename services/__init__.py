"""The four services and the packages that they share."""

import os

# Read when gRPC is first imported. Its fork handlers, of no use to children that exec at once, crash one in twenty of
# those that uvloop forks while calls are served: its threads are brought back to life in the child.
os.environ.setdefault("GRPC_ENABLE_FORK_SUPPORT", "0")
