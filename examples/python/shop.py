"""A shop that asks its bank before it says yes: stands for a service of your own.

BANK=http://127.0.0.1:7001 python3 shop.py 8080
"""

import os
import sys
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BANK = os.environ["BANK"]


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status = 200
        if self.path.startswith("/pay"):
            # The request id goes on to the bank: it joins what both sides saw.
            headers = {"X-Request-Id": self.headers.get("X-Request-Id", "")}
            try:
                call = urllib.request.Request(BANK + "/charge", headers=headers)
                urllib.request.urlopen(call, timeout=1).close()
            except (urllib.error.URLError, OSError):
                status = 503
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


class Server(ThreadingHTTPServer):
    request_queue_size = 1024


Server(("127.0.0.1", int(sys.argv[1])), Shop).serve_forever()
