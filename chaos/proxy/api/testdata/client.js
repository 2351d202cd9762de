// What toxiproxy-node-client does with a server: node client.js HOST
const assert = require("node:assert/strict");
const { Toxiproxy } = require("toxiproxy-node-client");

const fails = (promise, status) =>
  assert.rejects(promise, (e) => { assert.match(`${e.message} ${e.status ?? e.response?.status ?? ""}`, new RegExp(`${status}`)); return true; });

(async () => {
  const server = new Toxiproxy(process.argv[2]);
  assert.match(await server.getVersion(), /"2\.12\.0"/);
  const redis = await server.createProxy({ name: "redis", listen: "localhost:0", upstream: "localhost:6379" });
  assert.ok(redis.enabled);
  assert.match(redis.listen, /^127\.0\.0\.1:[1-9]/);
  await fails(server.createProxy({ name: "redis", listen: "localhost:0", upstream: "localhost:6379" }), 409);
  await fails(server.get("nobody"), 404);

  const toxics = {
    latency: { latency: 1000, jitter: 100 },
    bandwidth: { rate: 1000 },
    slow_close: { delay: 1000 },
    timeout: { timeout: 1000 },
    reset_peer: { timeout: 1000 },
    slicer: { average_size: 64, size_variation: 32, delay: 10 },
    limit_data: { bytes: 100 },
  };
  for (const [type, attributes] of Object.entries(toxics)) {
    for (const stream of ["upstream", "downstream"]) {
      const body = { name: `${type}-${stream}`, type, stream, toxicity: 0.5, attributes };
      assert.deepEqual((await redis.addToxic(body)).toJson(), body);
      const toxic = await redis.getToxic(body.name);
      assert.deepEqual(toxic.toJson(), body);
      const updated = await toxic.update({ ...body, toxicity: 1 });
      assert.deepEqual(updated.toJson(), { ...body, toxicity: 1 });
      await updated.remove();
      await fails(redis.getToxic(body.name), 404);
    }
  }

  const off = await redis.update({ enabled: false, listen: redis.listen, upstream: redis.upstream });
  assert.equal(off.enabled, false);
  assert.deepEqual(Object.keys(await server.getAll()), ["redis"]);
  const populated = await server.populate([{ name: "redis", listen: redis.listen, upstream: "localhost:6379" }, { name: "other", listen: "localhost:0", upstream: "localhost:6380" }]);
  assert.equal(populated.redis.enabled, false);
  assert.equal(populated.other.enabled, true);
  await server.reset();
  assert.equal((await server.get("redis")).enabled, true);
  await redis.remove();
  await fails(server.get("redis"), 404);
  console.log("every call answered as it should be");
})();
