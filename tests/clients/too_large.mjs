// Node's fetch, which sends more than the server takes and has to see its answer.
//
//     node too_large.mjs URL BYTES
import assert from "node:assert/strict";

const [url, size] = process.argv.slice(2);
const body = new Uint8Array(Number(size));
for (let i = 0; i < 5; i++) {
  const answer = await fetch(url, { method: "POST", body });
  assert.equal(answer.status, 413);
  assert.equal((await answer.json()).type, "urn:tagpoint:problem:body-too-large");
  assert.equal((await fetch(new URL("/healthz", url))).status, 200);
}
console.log("ok");
