// A client made by openapi-typescript and openapi-fetch from openapi.yaml, against a running server.
//
//     tsc && node client.js URL PICTURE BROKEN-PICTURE
//
// Predicts one picture and several, reads an error, lists the models and changes one; fails where anything is not as it
// should be, in its types too: no cast stands here.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

type Problem = components["schemas"]["Problem"];
type Label = components["schemas"]["LabelAnswer"];

const [url, picturePath, brokenPath] = process.argv.slice(2);
assert(url && picturePath && brokenPath, "client.js URL PICTURE BROKEN-PICTURE");
const client = createClient<paths>({ baseUrl: url });
const file = (path: string) => new Blob([readFileSync(path)], { type: "image/png" });
const [picture, broken] = [file(picturePath), file(brokenPath)];
const colours = { path: { name: "colours" } };
/** A picture's bytes as they are; openapi-fetch would write JSON. */
const bytes = { bodySerializer: (body: unknown) => body, headers: { "content-type": "image/png" } };

function best(labels: Label[] | undefined): Label {
  const first = labels?.[0];
  assert(first, "no label");
  return first;
}

// What is there.
const { data: models } = await client.GET("/v1/models");
assert.equal(models?.models[0]?.versions[0]?.state, "ready");
const { data: model } = await client.GET("/v1/models/{name}", { params: colours });
assert.equal(model?.task, "multi_label");
assert.equal(model.labels?.[2]?.threshold?.toFixed(1), "0.9");
assert.equal(model.input?.width, 8);

// One picture.
const one = await client.POST("/v1/models/{name}/predict", {
  params: { ...colours, query: { all: true, priority: "high" }, header: { "x-request-id": "from-typescript" } },
  body: picture,
  ...bytes,
});
assert(one.data && "request_id" in one.data && !("results" in one.data), JSON.stringify(one.error));
assert.deepEqual(one.data.labels?.map((label) => label.label), ["red", "green", "blue"]);
assert(best(one.data.labels).score > 0.9);
assert.deepEqual(one.data.picture, { width: 4, height: 4 });
assert.equal(one.data.request_id, "from-typescript");

// Several, of which one is none: as a form, and as JSON.
const form = await client.POST("/v1/models/{name}/predict", {
  params: colours,
  body: { picture: [picture, broken] },
  bodySerializer: (body) => {
    const data = new FormData();
    assert("picture" in body);
    body.picture.forEach((file, i) => data.append("picture", file, `${i}.png`));
    return data;
  },
});
const base64 = async (blob: Blob) => Buffer.from(await blob.arrayBuffer()).toString("base64");
const json = await client.POST("/v1/models/{name}/versions/{version}/predict", {
  params: { path: { name: "colours", version: "1" } },
  body: { images: [{ name: "0.png", image: await base64(picture) }, { name: "1.png", image: await base64(broken) }] },
});
for (const { data, error } of [form, json]) {
  assert(data && "results" in data, JSON.stringify(error));
  const [answered, failed] = data.results;
  assert(answered && "labels" in answered && answered.file === "0.png", JSON.stringify(data));
  assert.equal(best(answered.labels).label, "red");
  assert(failed && "error" in failed && failed.file === "1.png", JSON.stringify(data));
  assert.equal(failed.error.status, 415);
}

// A picture for an answer.
const drawn = await client.POST("/v1/models/{name}/predict", {
  params: { ...colours, query: { annotated: "png" } },
  body: picture,
  parseAs: "blob",
  ...bytes,
});
assert(drawn.data instanceof Blob && drawn.data.type === "image/png");

// An error.
const { error, response } = await client.POST("/v1/models/{name}/predict", {
  params: { path: { name: "nothing" } },
  body: picture,
  ...bytes,
});
const problem: Problem | undefined = error;
assert.equal(response.status, 404);
assert.equal(problem?.type, "urn:tagpoint:problem:unknown-model");
assert(problem.detail.includes("nothing"));

// A change, and the same model by the Open Inference Protocol.
const promote = { params: { path: { name: "colours", version: "1" } } };
const { data: changed } = await client.POST("/v1/admin/models/{name}/versions/{version}/promote", promote);
assert.equal(changed?.model.version, "1");
const { data: metadata } = await client.GET("/v2/models/{name}", { params: colours });
assert.deepEqual(metadata?.inputs.map((input) => input.datatype), ["UINT8"]);
console.log("ok");
