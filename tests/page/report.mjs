// The trainer's report.html, from its file: nothing wrong by axe in light, dark and on a phone, tables that sort by keyboard.

import assert from "node:assert/strict";
import { DARK, LIGHT, PHONE, open, others, shot, sound, test, texts, url } from "./browser.mjs";

const [task] = others;

await test(async (browser) => {
    for (const [name, looks] of Object.entries({ light: LIGHT, dark: DARK, phone: PHONE })) {
        const { page, close } = await open(browser, looks);
        await page.goto(url);
        await page.getByRole("heading", { level: 1 }).waitFor();
        for (const summary of await page.locator("summary").all()) await summary.click();
        await sound(page, `report of ${task}, ${name}`);
        await shot(page, `report-${task}-${name}`);
        const head = page.getByRole("columnheader", { name: "label", exact: true }).getByRole("button");
        if (name === "light" && (await head.count()) > 0) {
            const rows = () => texts(page.locator("table.sortable").first().locator("tbody th"));
            await head.first().focus();
            await page.keyboard.press("Enter");
            const rising = await rows();
            await page.keyboard.press("Enter");
            assert.deepEqual(await rows(), [...rising].reverse());
        }
        await close();
    }
});
