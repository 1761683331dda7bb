// The lines that the page gives to copy do what they say.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";

const python = new URL("../../.deps/python/bin/python", import.meta.url).pathname;

/** Each language's lines are run as they are copied, in the folder that the pictures lie in; the answer has these words. */
export async function linesWork(page, folder, expected, environment = {}) {
    const options = { cwd: folder, env: { ...process.env, ...environment } };
    const run = {
        curl: (text) => execFileSync("bash", ["-c", text.replace(/^curl/, "curl -sS")], options),
        Python: (text) => execFileSync(python, ["-c", text], options),
        TypeScript: (text) => execFileSync("node", ["--input-type=module", "-e", text], options),
    };
    await page.getByRole("tab", { name: "curl" }).click();
    for (const [language, execute] of Object.entries(run)) {
        assert.equal(await page.getByRole("tab", { selected: true }).textContent(), language);
        await page.getByRole("button", { name: /^Cop/ }).click();
        await page.getByText("Copied").waitFor();
        const copied = await page.evaluate(() => navigator.clipboard.readText());
        assert.equal(copied, await page.locator("#code-lines").textContent());
        const said = String(execute(copied));
        for (const word of expected) assert.ok(said.includes(word), `${language}: ${copied}: ${said}`);
        await page.getByRole("tab", { selected: true }).focus();
        await page.keyboard.press("ArrowRight");
    }
}
