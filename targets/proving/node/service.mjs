// A service around one implementation of a resilience pattern, as its own documentation
// sets it up, for stormctl's proving ground:
//
//   ADDR=127.0.0.1:8080 DEPENDENCY=http://127.0.0.1:7000 node service.mjs opossum
//
// Each request makes the call of its own method and path, and is answered what that
// came to. Settings that are not the library's defaults come from the environment, so
// that the experiment file shows them.
import http from 'node:http';

const dependency = process.env.DEPENDENCY;
const agent = new http.Agent({ keepAlive: true, maxSockets: Infinity });

// number is a setting from the environment; undefined leaves the library's default.
const number = (name) => (process.env[name] === undefined ? undefined : Number(process.env[name]));

// given leaves out what is not set, so that a library's default stands.
const given = (options) => Object.fromEntries(Object.entries(options).filter(([, v]) => v !== undefined));

const passed = ['x-request-id', 'traceparent', 'idempotency-key', 'content-type'];

// plain makes one call with Node's own client. It fails with an error of which status is
// the answer's, if there was one.
function plain({ method, path, headers, body }, timeout = number('TIMEOUT') ?? 1000) {
  return new Promise((resolve, reject) => {
    const call = http.request(dependency + path, { agent, method, headers }, (answer) => {
      answer.resume();
      answer.on('error', reject);
      answer.on('end', () => {
        if (answer.statusCode < 500) resolve(answer.statusCode);
        else reject(Object.assign(new Error(`answered ${answer.statusCode}`), { status: answer.statusCode }));
      });
    });
    const late = setTimeout(() => call.destroy(new Error('timed out')), timeout);
    call.on('close', () => clearTimeout(late));
    call.on('error', reject);
    call.end(body);
  });
}

// implementations make what answers a request with a status, or throws.
const implementations = {
  // Half of the calls within 10 s; a half-open state lets one call through.
  async opossum() {
    const { default: CircuitBreaker } = await import('opossum');
    const breaker = new CircuitBreaker((call) => plain(call, 60_000), given({
      timeout: number('TIMEOUT'), resetTimeout: number('RESET_TIMEOUT'), volumeThreshold: number('VOLUME'),
      errorThresholdPercentage: number('ERRORS'), capacity: number('CAPACITY'),
    }));
    return (call) => breaker.fire(call);
  },

  // A number of failures in a row; a half-open state lets one call through.
  async cockatiel() {
    const { circuitBreaker, handleAll, ConsecutiveBreaker } = await import('cockatiel');
    const breaker = circuitBreaker(handleAll, { halfOpenAfter: number('HALF_OPEN_AFTER'), breaker: new ConsecutiveBreaker(number('FAILURES')) });
    return (call) => breaker.execute(() => plain(call));
  },

  // A number at a time, none waits.
  async bulkhead() {
    const { bulkhead } = await import('cockatiel');
    const full = bulkhead(number('LIMIT'));
    return (call) => full.execute(() => plain(call, number('TIMEOUT') ?? 60_000));
  },

  // Three retries of what is idempotent, after 5xx and network errors; of its delays the exponential one.
  async 'axios-retry'() {
    const { default: axios } = await import('axios');
    const { default: axiosRetry, exponentialDelay } = await import('axios-retry');
    const client = axios.create({ baseURL: dependency, httpAgent: agent, timeout: number('TIMEOUT') ?? 1000 });
    axiosRetry(client, { retryDelay: exponentialDelay });
    return async ({ method, path, headers, body }) => {
      const answer = await client.request({ method, url: path, headers, data: body.length > 0 ? body : undefined });
      return answer.status;
    };
  },

  // Two retries of what is idempotent.
  async got() {
    const { default: got } = await import('got');
    return async ({ method, path, headers, body }) => {
      const answer = await got(dependency + path, {
        method, headers, agent: { http: agent }, timeout: { request: number('TIMEOUT') ?? 1000 }, ...(body.length > 0 ? { body } : {}),
      });
      return answer.statusCode;
    };
  },

  // Two retries of what is idempotent.
  async ky() {
    const { default: ky } = await import('ky');
    return async ({ method, path, headers, body }) => {
      const answer = await ky(dependency + path, { method, headers, timeout: number('TIMEOUT') ?? 10_000, ...(body.length > 0 ? { body } : {}) });
      await answer.arrayBuffer();
      return answer.status;
    };
  },

  // Whatever fails, any method: it retries a function and knows no HTTP.
  async 'p-retry'() {
    const { default: pRetry } = await import('p-retry');
    const options = given({ retries: number('RETRIES'), minTimeout: number('MIN_TIMEOUT'), factor: number('FACTOR') });
    return (call) => pRetry(() => plain(call), options);
  },

  // Retries of what is idempotent, by an agent in the place of the pool of connections.
  async undici() {
    const { Agent, RetryAgent, request } = await import('undici');
    const retries = new RetryAgent(new Agent({ headersTimeout: number('TIMEOUT') ?? 1000 }), given({ maxRetries: number('RETRIES') }));
    return async ({ method, path, headers, body }) => {
      const answer = await request(dependency + path, { dispatcher: retries, method, headers, body: body.length > 0 ? body : null });
      await answer.body.dump();
      return answer.statusCode;
    };
  },
};

const name = process.argv[2];
if (!implementations[name]) {
  console.error(`give one of ${Object.keys(implementations).sort().join(', ')}`);
  process.exit(1);
}
const answers = await implementations[name]();

// statusOf is that of a failure, wherever a library keeps it.
const statusOf = (e) => e.status ?? e.statusCode ?? e.response?.status ?? e.response?.statusCode ?? 503;

const server = http.createServer((request, response) => {
  if (request.url === '/healthz') return response.end();
  const parts = [];
  request.on('data', (part) => parts.push(part));
  request.on('end', async () => {
    const headers = Object.fromEntries(passed.filter((h) => request.headers[h]).map((h) => [h, request.headers[h]]));
    let status;
    try {
      status = await answers({ method: request.method, path: request.url, headers, body: Buffer.concat(parts) });
    } catch (e) {
      status = statusOf(e);
    }
    response.writeHead(status).end();
  });
});
server.keepAliveTimeout = 60_000;
const [, host, port] = /^(.*):(\d+)$/.exec(process.env.ADDR);
server.listen(Number(port), host);
process.on('SIGTERM', () => process.exit(0));
