// Makes a file of TypeScript types from an OpenAPI document, with openapi-typescript.
//
//     node generate.mjs openapi.yaml schema.d.ts
//
// By itself it takes bodies of bytes for text; as its documentation says, a transform makes them what fetch takes.
import { readFileSync, writeFileSync } from "node:fs";
import openapiTS, { astToString } from "openapi-typescript";
import ts from "typescript";

const [document, output] = process.argv.slice(2);
const blob = ts.factory.createTypeReferenceNode("Blob");
const transform = (schema) => (schema.format === "binary" ? blob : undefined);
writeFileSync(output, astToString(await openapiTS(readFileSync(document), { transform })));
