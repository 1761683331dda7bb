// Models and health behind keys: version 1 and 2 of `scenes` are the shipped model, `colours` has two operating points.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DARK, LIGHT, PHONE, folder, open, shot, sound, test, texts, url } from "./browser.mjs";
import { linesWork } from "./lines.mjs";

const PREDICT = "the-key-of-the-website";
const ADMIN = "the-key-of-an-operator";
const scenes = readFileSync(new URL("../../samples/scenes.jpg", import.meta.url));
const colour = readFileSync(`${folder}/colour.png`);

async function ask(path, key = PREDICT, init = {}) {
    const response = await fetch(url + path, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });
    assert.equal(response.status, 200, path);
    return response.json();
}

const predict = (model, body, query = "") =>
    ask(`/v1/models/${model}/predict${query}`, PREDICT, { method: "POST", body, headers: { "content-type": "image/*" } });
const defaultVersion = async () => (await ask("/v1/models/scenes")).version;

async function enter(page, key) {
    await page.getByLabel("Key", { exact: true }).fill(key);
    await page.getByRole("button", { name: "Use this key" }).click();
}

async function keyIsAskedFor(browser) {
    const { page, context, close } = await open(browser, LIGHT, ["401", "403", "409"]);
    await page.goto(url);
    await page.getByText("This server answers those who have a key").waitFor();
    await sound(page, "the question for a key");
    await shot(page, "key-light", false);
    await enter(page, "no such key");
    await page.getByText("the key is not known").waitFor();
    await enter(page, PREDICT);
    await page.getByRole("heading", { name: "What does the model see?" }).waitFor();
    assert.deepEqual(await page.evaluate(() => [{ ...localStorage }, document.cookie]), [{}, ""]);
    assert.deepEqual(await page.evaluate(() => ({ ...sessionStorage })), { "tagpoint-predict-key": PREDICT });
    assert.ok(!(await page.content()).includes(PREDICT));
    assert.deepEqual((await context.storageState()).cookies, []);
    return { page, close };
}

async function operatingPoints(page) {
    await page.getByLabel("Model").selectOption("colours");
    await page.locator("input[type=file][multiple]").setInputFiles({ name: "colour.png", mimeType: "image/png", buffer: colour });
    await page.locator(".bars").waitFor();
    const shown = () => texts(page.locator(".said .tag"));
    const named = async (query) => (await predict("colours", colour, query)).labels.map(({ label }) => label);
    assert.deepEqual(await shown(), await named(""));
    assert.deepEqual(await shown(), ["red", "green"]);
    await page.getByLabel("Operating point").selectOption("precise");
    assert.deepEqual(await shown(), await named("?operating_point=precise"));
    assert.deepEqual(await shown(), ["red"]);
    const lines = await page.locator("#code-lines").textContent();
    assert.ok(lines.includes("?operating_point=precise") && lines.includes("$TAGPOINT_KEY") && !lines.includes(PREDICT), lines);
    await linesWork(page, folder, ["red"], { TAGPOINT_KEY: PREDICT });
    await sound(page, "operating points");
}

async function promoteAndRollBack(page) {
    await page.getByRole("link", { name: "Models" }).click();
    const colours = page.getByRole("article", { name: "colours" }).getByRole("row", { name: /^red/ });
    await colours.waitFor();
    const both = (balanced, precise) => `balanced: ${balanced}precise: ${precise}`;
    const expected = [both("0.800", "1.000"), both("0.500", "0.250"), both("0.615", "0.400"), "0.50", "0.70", "30", "10"];
    assert.deepEqual(await colours.getByRole("cell").allTextContents(), expected);
    const bars = colours.locator(".fill");
    const widths = await bars.evaluateAll((all) => all.map((bar) => bar.getBoundingClientRect().width / bar.parentElement.getBoundingClientRect().width));
    [0.8, 1, 0.5, 0.25, 0.615, 0.4].forEach((value, place) => assert.ok(Math.abs(widths[place] - value) < 0.01, `${widths}`));
    const card = page.getByRole("article", { name: "scenes" });
    await card.getByRole("table").waitFor();
    const row = await card.getByRole("row", { name: /^cat/ }).getByRole("cell").allTextContents();
    assert.deepEqual(row, ["0.998", "0.22", "304", "69"]);
    assert.match(await card.textContent(), /data fingerprintsha256:2a77a956/);
    await sound(page, "models");
    await shot(page, "models-light");
    assert.equal(await defaultVersion(), "2");
    await card.getByRole("button", { name: "Promote version 1 of scenes" }).click();
    await page.getByRole("dialog").getByRole("button", { name: "Promote version 1" }).click();
    await page.getByText("needs a key of scope “admin”").waitFor();
    await enter(page, PREDICT);
    await page.getByText(/has not the scope|needs? .*admin|scope "admin"/).first().waitFor();
    await enter(page, ADMIN);
    await card.getByText("Version 1 answers now.").waitFor();
    assert.equal(await defaultVersion(), "1");
    await card.getByRole("button", { name: "Roll back" }).click();
    await card.getByText("scenes is rolled back.").waitFor();
    assert.equal(await defaultVersion(), "2");
    await card.getByRole("button", { name: "Roll back" }).click();
    await card.getByRole("alert").getByText("That is not possible now.").waitFor();
}

async function trial(page) {
    const body = JSON.stringify({ version: "1", share: 1 });
    const headers = { "content-type": "application/json" };
    await ask("/v1/admin/models/scenes/shadow", ADMIN, { method: "PUT", body, headers });
    await predict("scenes", scenes);
    const path = "/v1/models/scenes/versions/1/shadow";
    while ((await ask(path)).pictures === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    await page.reload();
    const report = page.getByRole("region", { name: "Version 1 on trial" });
    await report.getByText("1 picture so far").waitFor();
    assert.equal(await report.getByRole("row").count(), 6);
    await sound(page, "a trial");
    await shot(page, "trial-light");
}

async function health(browser, page) {
    await page.getByRole("link", { name: "Health" }).click();
    const gauge = (name) => page.getByRole("region", { name, exact: true });
    await gauge("Pictures that wait").getByText("0").waitFor();
    await Promise.all(Array.from({ length: 12 }, () => predict("scenes", scenes)));
    const answered = gauge("Pictures answered").locator("strong");
    await page.waitForFunction((element) => Number(element.textContent) > 0, await answered.elementHandle());
    assert.match(await gauge("Time of a prediction, half are below").locator("strong").textContent(), /^[\d.]+ m?s$/);
    assert.ok(Number(await gauge("Pictures in a batch").locator("strong").textContent()) >= 1);
    const [version] = await page.getByRole("row", { name: /^scenes 2/ }).getByRole("cell").allTextContents();
    assert.equal(version, "2");
    await predict("scenes", scenes);
    await page.waitForTimeout(4500);
    await sound(page, "health");
    await shot(page, "health-light", false);
}

async function otherLooks(browser) {
    for (const [name, looks] of Object.entries({ dark: DARK, phone: PHONE })) {
        const { page, close } = await open(browser, looks, ["401"]);
        await page.goto(`${url}/#models`);
        await enter(page, PREDICT);
        await page.getByRole("table").first().waitFor();
        await sound(page, `models, ${name}`);
        await shot(page, `models-${name}`);
        await page.goto(`${url}/#health`);
        await page.getByRole("table").waitFor();
        await sound(page, `health, ${name}`);
        await shot(page, `health-${name}`);
        await close();
    }
}

await test(async (browser) => {
    const { page, close } = await keyIsAskedFor(browser);
    await operatingPoints(page);
    await promoteAndRollBack(page);
    await trial(page);
    await health(browser, page);
    await page.getByRole("button", { name: "Forget keys" }).click();
    assert.deepEqual(await page.evaluate(() => ({ ...sessionStorage })), {});
    await otherLooks(browser);
    await close();
});
