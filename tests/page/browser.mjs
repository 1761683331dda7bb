// A headless Chromium that looks at the page as a user does, and what has to hold wherever it looks.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";

const installed = createRequire(new URL("../../.deps/npm/package.json", import.meta.url));
const { chromium } = installed("playwright-core");
const axe = readFileSync(installed.resolve("axe-core/axe.min.js"), "utf8");

/** The application that is looked at, the folder for pictures, and other applications. */
export const [url, folder, ...others] = process.argv.slice(2);
mkdirSync(folder, { recursive: true });

export const LIGHT = { colorScheme: "light", viewport: { width: 1280, height: 860 } };
export const DARK = { ...LIGHT, colorScheme: "dark" };
export const PHONE = { colorScheme: "light", viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };

/** Runs a test in a browser with a camera of its own, and says ok where nothing failed. */
export async function test(body) {
    const browser = await chromium.launch({
        executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
        // Chromium refuses its sandbox to root, which tests in a container are.
        args: ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"],
    });
    try {
        await body(browser);
    } finally {
        await browser.close();
    }
    console.log("ok");
}

/** A page that may neither fail, nor break its policy, nor ask another host. `refusals` are statuses that a test is after. */
export async function open(browser, looks, refusals = []) {
    const context = await browser.newContext({ ...looks, permissions: ["clipboard-read", "clipboard-write", "camera"] });
    context.setDefaultTimeout(120_000);
    const page = await context.newPage();
    const wrong = [];
    const asked = [];
    page.on("pageerror", (error) => wrong.push(String(error)));
    page.on("console", (message) => {
        const expected = refusals.some((refusal) => message.text().includes(String(refusal)));
        if (["error", "warning"].includes(message.type()) && !expected) wrong.push(message.text());
    });
    page.on("request", (request) => {
        asked.push(request);
        if (!/^(blob|data):/.test(request.url()) && request.url() !== url && ![url, ...others].includes(new URL(request.url()).origin)) wrong.push(request.url());
    });
    const close = async () => {
        assert.deepEqual(wrong, []);
        await context.close();
    };
    const predictions = () => asked.filter((request) => request.url().includes("/predict")).length;
    return { page, context, close, predictions };
}

/** Nothing that axe finds wrong by WCAG 2.2 AA, and nothing wider than the window. */
export async function sound(page, what) {
    // Colours change over a moment; axe is to see the end of it.
    await page.waitForTimeout(250);
    // A phone's window grows with what is too wide for it, so it is held against the screen.
    const wide = (await page.evaluate(() => document.documentElement.scrollWidth)) - page.viewportSize().width;
    assert.ok(wide <= 0, `${what}: ${wide} pixels wider than the window`);
    await page.evaluate(axe);
    const tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
    const { violations } = await page.evaluate((values) => window.axe.run({ runOnly: { type: "tag", values } }), tags);
    const found = violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target, failureSummary }) => `${target} ${failureSummary}`)}`);
    assert.deepEqual(found, [], what);
}

/** Keeps a picture of the page, to look at. */
export const shot = (page, name, whole = true) => page.screenshot({ path: `${folder}/${name}.png`, fullPage: whole });

export const texts = (locator) => locator.allTextContents().then((all) => all.map((text) => text.trim()));
