"""Receive webhooks, verify them, take each once.

Needs: pip install standardwebhooks. Run: PORT=9000 WEBHOOK_SECRET=whsec_… python examples/receive.py
"""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from standardwebhooks import Webhook, WebhookVerificationError

webhook = Webhook(os.environ["WEBHOOK_SECRET"])
seen: set[str] = set()  # where it matters: a table with the id as its key, written with what the message leads to


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is genuine, and 400 to everything else."""

    def do_POST(self) -> None:
        """Take a message; whatever takes long comes after the answer."""
        body = self.rfile.read(int(self.headers["content-length"]))  # the very bytes: they are what is signed
        try:
            message = webhook.verify(body, dict(self.headers))  # also refuses what is older than five minutes
        except (WebhookVerificationError, ValueError):
            self.send_error(400)
            return
        if self.headers["webhook-id"] not in seen:
            seen.add(self.headers["webhook-id"])
            print(message["type"], message["data"], flush=True)
        self.send_response(204)
        self.end_headers()


HTTPServer(("127.0.0.1", int(os.environ.get("PORT", "9000"))), Receiver).serve_forever()
