"""What schemathesis does not know of: lines of JSON are sent as the texts that they are."""

import schemathesis


@schemathesis.serializer("application/x-ndjson")
def lines(ctx, value):
    return value.encode() if isinstance(value, str) else str(value).encode()
