// Asks a URL with both of Node's standard clients: fetch, and http with a keep-alive agent.
import assert from "node:assert";
import http from "node:http";

const base = process.argv[2];
const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });

function get(path) {
  return new Promise((resolve, reject) => {
    const request = http.get(base + path, { agent }, (response) => {
      const pieces = [];
      response.on("data", (piece) => pieces.push(piece));
      response.on("end", () => resolve(Buffer.concat(pieces).toString()));
      response.on("error", reject);
    });
    request.on("error", reject);
  });
}

const texts = await Promise.all([
  ...Array.from({ length: 50 }, () => get("/")),
  ...Array.from({ length: 50 }, async () => (await fetch(base + "/")).text()),
]);
for (const text of texts) assert.strictEqual(text, "uvicorn");

const body = "0123456789".repeat(50000);
const answer = await fetch(base + "/mirror", { method: "POST", body });
assert.strictEqual(await answer.text(), body);

async function* pieces() {
  for (let number = 0; number < 100; number++) yield new TextEncoder().encode(`${number} `);
}
const streamed = await fetch(base + "/mirror", { method: "POST", body: pieces(), duplex: "half" });
assert.strictEqual(await streamed.text(), Array.from({ length: 100 }, (_, n) => `${n} `).join(""));

agent.destroy();
console.log(`ok ${texts.length}`);
