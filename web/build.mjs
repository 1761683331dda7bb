// Builds the page: `node web/build.mjs` writes web/dist/, which is committed and put into the program, so that cargo needs
// no node. `--check` writes nothing, and fails where what is committed is not what the sources give. Packages come from
// .deps/npm (scripts/test-environment), pinned in scripts/npm/package-lock.json; the same sources give the same bytes.

import { createRequire } from "node:module";
import { mkdir, readFile, writeFile } from "node:fs/promises";

const root = new URL("..", import.meta.url);
const require = createRequire(new URL(".deps/npm/package.json", root));
const esbuild = require("esbuild");
const at = (path) => new URL(path, root);

const preact = JSON.parse(await readFile(at(".deps/npm/node_modules/preact/package.json"), "utf8"));
const notice = `/*! With Preact ${preact.version}, (c) 2015-present Jason Miller, MIT licence: https://github.com/preactjs/preact/blob/main/LICENSE */`;

const common = { bundle: true, minify: true, write: false, legalComments: "none", charset: "utf8", target: "es2022" };
const bundle = async (options) => (await esbuild.build({ ...common, ...options })).outputFiles[0].contents;
const files = {
    "page.js": await bundle({
        entryPoints: [at("web/src/main.tsx").pathname],
        format: "esm",
        nodePaths: [at(".deps/npm/node_modules").pathname],
        tsconfigRaw: { compilerOptions: { jsx: "react-jsx", jsxImportSource: "preact" } },
        banner: { js: notice },
    }),
    "page.css": await bundle({ entryPoints: [at("web/src/style/page.css").pathname] }),
    "index.html": await readFile(at("web/src/index.html")),
    "icon.svg": await readFile(at("web/src/icon.svg")),
};

const check = process.argv.includes("--check");
await mkdir(at("web/dist/"), { recursive: true });
for (const [name, made] of Object.entries(files)) {
    const path = at(`web/dist/${name}`);
    if (!check) {
        await writeFile(path, made);
        console.log(`web/dist/${name}: ${made.length} bytes`);
    } else if (!Buffer.from(made).equals(await readFile(path))) {
        console.error(`web/dist/${name} is not what web/src gives: run node web/build.mjs`);
        process.exitCode = 1;
    }
}
