"""Receive webhooks, verify them, and handle each once.

Needs: pip install standardwebhooks. Run: PORT=9000 WEBHOOK_SECRET=whsec_… python examples/receive.py
"""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
handled: set[str] = set()  # in production: a table keyed by the id, written together with the effects of the message


class Receiver(BaseHTTPRequestHandler):
    """Respond 204 to authentic messages and 400 to everything else."""

    def do_POST(self) -> None:
        """Verify a message and handle it once; do slow work after the response."""
        body = self.rfile.read(int(self.headers["content-length"]))  # the exact bytes, because they are what is signed
        try:
            message = webhook.verify(body, dict(self.headers))  # also refuses messages older than five minutes
        except (WebhookVerificationError, ValueError):
            self.send_error(400)
            return
        if self.headers["webhook-id"] not in handled:
            handled.add(self.headers["webhook-id"])
            print(message["type"], message["data"], flush=True)
        self.send_response(204)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
