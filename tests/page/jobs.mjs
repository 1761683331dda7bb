// Jobs behind a key: a ZIP of pictures is answered, one is cancelled, one is refused; results are the predictions' own.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { DARK, LIGHT, PHONE, folder, open, others, shot, sound, test, texts, url } from "./browser.mjs";

const PREDICT = "the-key-of-the-website";
const python = new URL("../../.deps/python/bin/python", import.meta.url).pathname;

/** A ZIP archive of these files. */
function zip(name, files) {
    const at = `${folder}/${name}`;
    rmSync(at, { recursive: true, force: true });
    mkdirSync(at);
    for (const [file, from] of Object.entries(files)) copyFileSync(from, `${at}/${file}`);
    execFileSync(python, ["-m", "zipfile", "-c", `${at}.zip`, ...Object.keys(files)], { cwd: at });
    return `${at}.zip`;
}

async function enter(page) {
    await page.getByLabel("Key", { exact: true }).fill(PREDICT);
    await page.getByRole("button", { name: "Use this key" }).click();
}

const view = (page) => page.locator("main:visible");

async function start(page, model, file) {
    await view(page).getByLabel("Model").selectOption(model);
    await page.getByLabel("ZIP of pictures").setInputFiles(file);
    await page.getByRole("button", { name: "Start" }).click();
}

/** The file that a click gives. */
async function given(page, button) {
    const [download] = await Promise.all([page.waitForEvent("download"), button.click()]);
    return { name: download.suggestedFilename(), bytes: readFileSync(await download.path()) };
}

async function aJob(page) {
    await page.goto(`${url}/#jobs`);
    await enter(page);
    await page.getByText("There is no job yet.").waitFor();
    await sound(page, "no job");
    assert.ok(await page.getByRole("button", { name: "Start" }).isDisabled());
    writeFileSync(`${folder}/note.txt`, "This is no picture.");
    const names = ["black.png", "colour.png", "note.txt", "red.png"];
    const archive = zip("job", Object.fromEntries(names.map((name) => [name, `${folder}/${name}`])));
    await view(page).getByLabel("Model").selectOption("colours");
    await page.getByLabel("Operating point").selectOption("precise");
    await start(page, "colours", archive);
    const card = page.getByRole("article", { name: "colours, version 1" });
    await card.getByText("completed").waitFor();
    await page.getByText("The job of colours is completed.").waitFor();
    assert.match(await card.locator(".job-line").textContent(), /4 of 4 pictures, 1 without an answer/);
    const bar = card.getByRole("progressbar");
    assert.deepEqual(await bar.evaluate((bar) => [bar.value, bar.max]), [4, 4]);

    const { name, bytes } = await given(page, card.getByRole("button", { name: "Results" }));
    assert.match(name, /^colours-[0-9a-f-]{36}\.jsonl$/);
    const lines = bytes.toString().trim().split("\n").map((line) => JSON.parse(line));
    assert.deepEqual(lines.map(({ name }) => name).sort(), names);
    for (const { name, labels, error } of lines) {
        if (name === "note.txt") {
            assert.match(error.detail, /format/);
            continue;
        }
        const headers = { authorization: `Bearer ${PREDICT}`, "content-type": "image/png" };
        const path = `${url}/v1/models/colours/predict?operating_point=precise`;
        const answer = await (await fetch(path, { method: "POST", headers, body: readFileSync(`${folder}/${name}`) })).json();
        assert.deepEqual(labels.map(({ label }) => label), answer.labels.map(({ label }) => label), name);
    }
    const table = await given(page, card.getByRole("button", { name: "as Parquet" }));
    assert.equal(table.bytes.subarray(0, 4).toString(), "PAR1");
}

async function cancelled(page) {
    const many = Object.fromEntries(Array.from({ length: 3000 }, (_, place) => [`${place}.png`, `${folder}/colour.png`]));
    await start(page, "slow", zip("many", many));
    const card = page.getByRole("article", { name: "slow, version 1" });
    await card.getByText("running").waitFor();
    await sound(page, "a job that runs");
    await shot(page, "jobs-running-light");
    await card.getByRole("button", { name: "Cancel" }).click();
    await card.getByText("cancelled").waitFor();
    const [done, total] = await card.getByRole("progressbar").evaluate((bar) => [bar.value, bar.max]);
    assert.ok(done < total, `${done} of ${total}`);
}

async function refused(page) {
    writeFileSync(`${folder}/broken.zip`, "This is no archive.");
    await start(page, "colours", `${folder}/broken.zip`);
    const alert = page.getByRole("region", { name: "Answer many pictures" }).getByRole("alert");
    await alert.waitFor();
    await sound(page, "a job that is refused");
    await shot(page, "jobs-light");
    assert.deepEqual(await texts(page.getByRole("article").getByRole("heading")), ["slow, version 1", "colours, version 1"]);
}

await test(async (browser) => {
    const { page, close } = await open(browser, LIGHT, ["401", "400"]);
    await aJob(page);
    await cancelled(page);
    await refused(page);
    await close();
    for (const [name, looks] of Object.entries({ dark: DARK, phone: PHONE })) {
        const { page, close } = await open(browser, looks, ["401"]);
        await page.goto(`${url}/#jobs`);
        await enter(page);
        await page.getByRole("article").first().waitFor();
        await sound(page, `jobs, ${name}`);
        await shot(page, `jobs-${name}`);
        await close();
    }
    const without = await open(browser, LIGHT, ["501"]);
    await without.page.goto(`${others[0]}/#jobs`);
    await without.page.getByText("This server has no database.").waitFor();
    await sound(without.page, "jobs without a database");
    await without.close();
});
