"""A service around one implementation of a resilience pattern, as its own documentation
sets it up, for stormctl's proving ground:

    ADDR=127.0.0.1:8080 DEPENDENCY=http://127.0.0.1:7000 /usr/bin/python3 service.py tenacity

Each request makes the call of its own method and path, and is answered what that came
to. Settings that are not the library's defaults come from the environment, so that the
experiment file shows them.
"""
import http.client
import http.server
import os
import subprocess
import sys
import threading
import urllib.parse

DEPENDENCY = os.environ.get("DEPENDENCY", "")
TIMEOUT = float(os.environ.get("TIMEOUT", "1"))
PASSED = ["X-Request-Id", "Traceparent", "Idempotency-Key", "Content-Type"]


def setting(name, absent):
    return type(absent)(os.environ.get(name, absent))


class Failed(Exception):
    """An answer of 500 or more."""


def plain():
    """One call by http.client, over a connection that its thread keeps."""
    kept = threading.local()
    host = urllib.parse.urlsplit(DEPENDENCY).netloc

    def call(method, path, headers, body):
        connection = getattr(kept, "connection", None)
        if connection is None:
            connection = kept.connection = http.client.HTTPConnection(host, timeout=TIMEOUT)
        try:
            connection.request(method, path, body=body or None, headers=headers)
            answer = connection.getresponse()
            answer.read()
        except Exception:
            connection.close()
            kept.connection = None
            raise
        if answer.status >= 500:
            raise Failed(answer.status)
        return answer.status

    return call


def tenacity():
    """tenacity knows no HTTP: what raises is tried again, for ever and at once unless it is told otherwise."""
    from tenacity import Retrying, stop_after_attempt, wait_exponential_jitter

    call = plain()
    retrying = Retrying(
        stop=stop_after_attempt(setting("ATTEMPTS", 4)),
        wait=wait_exponential_jitter(initial=setting("INITIAL", 1.0), jitter=setting("JITTER", 1.0)),
        reraise=True,
    )
    return lambda *request: retrying.copy()(call, *request)


def urllib3():
    """urllib3's Retry: which statuses are retried has to be said; the first retry comes at once."""
    import urllib3 as library

    retries = library.Retry(
        total=setting("TOTAL", 10), backoff_factor=setting("BACKOFF_FACTOR", 0.0),
        status_forcelist=[500, 502, 503, 504], raise_on_status=False,
    )
    pool = library.PoolManager(retries=retries, timeout=TIMEOUT, maxsize=256)

    def call(method, path, headers, body):
        return pool.request(method, DEPENDENCY + path, headers=headers, body=body or None).status

    return call


def requests():
    """requests as it is: its adapter retries nothing, and it has no timeout unless it is given one."""
    import requests as library

    session = library.Session()
    session.trust_env = False
    session.mount("http://", library.adapters.HTTPAdapter(pool_connections=1, pool_maxsize=256))
    timeout = setting("TIMEOUT", 0.0) or None

    def call(method, path, headers, body):
        return session.request(method, DEPENDENCY + path, headers=headers, data=body or None, timeout=timeout).status_code

    return call


def curl():
    """curl --retry, a process for each request."""
    arguments = ["curl", "--silent", "--output", os.devnull, "--write-out", "%{http_code}", "--max-time", "60",
                 *os.environ.get("CURL", "--retry 2").split()]

    def call(method, path, headers, body):
        command = arguments + ["--request", method, DEPENDENCY + path]
        for name, value in headers.items():
            command += ["--header", f"{name}: {value}"]
        if body:
            command += ["--data-binary", "@-"]
        done = subprocess.run(command, input=body, stdout=subprocess.PIPE, check=False)
        return int(done.stdout[-3:] or 0) or 503

    return call


IMPLEMENTATIONS = {"tenacity": tenacity, "urllib3": urllib3, "requests": requests, "curl": curl}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    answers = None

    def answer(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        status = 200
        if self.path != "/healthz":
            headers = {name: self.headers[name] for name in PASSED if self.headers[name]}
            try:
                status = Handler.answers(self.command, self.path, headers, body)
            except Failed as failure:
                status = failure.args[0]
            except TimeoutError:
                status = 504
            except Exception:  # of any library: the call came to nothing
                status = 503
        self.send_response_only(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = do_PUT = do_DELETE = answer

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 1024


def main():
    if len(sys.argv) != 2 or sys.argv[1] not in IMPLEMENTATIONS:
        sys.exit("give one of " + ", ".join(sorted(IMPLEMENTATIONS)))
    Handler.answers = staticmethod(IMPLEMENTATIONS[sys.argv[1]]())
    host, port = os.environ["ADDR"].rsplit(":", 1)
    Server((host, int(port)), Handler).serve_forever()


if __name__ == "__main__":
    main()
