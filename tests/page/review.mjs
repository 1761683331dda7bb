// Review behind keys: labels, one label, points and values are corrected by keyboard; what a server says that has nothing.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DARK, LIGHT, PHONE, folder, open, others, shot, sound, test, texts, url } from "./browser.mjs";

const PREDICT = "the-key-of-the-website";
const ADMIN = "the-key-of-an-operator";
const [red, black] = ["red", "black"].map((name) => readFileSync(`${folder}/${name}.png`));
const face = readFileSync(new URL("../../samples/faces.jpg", import.meta.url));

async function ask(path, key, init = {}, at = url) {
    const response = await fetch(at + path, { ...init, headers: { authorization: `Bearer ${key}`, ...init.headers } });
    assert.equal(response.status, 200, path);
    return response.json();
}

const predict = (model, body, at = url) =>
    ask(`/v1/models/${model}/predict`, PREDICT, { method: "POST", body, headers: { "content-type": "image/*" } }, at);
/** Once so many predictions of a model wait: answers become rows a moment later. */
const left = async (model, count, at = url) => {
    for (;;) {
        const { predictions } = await ask(`/v1/review?model=${model}&by=newest`, ADMIN, {}, at);
        if (predictions.length === count) return predictions;
        await new Promise((resolve) => setTimeout(resolve, 50));
    }
};
const counts = () => ask("/v1/admin/models/colours/thresholds/corrections", ADMIN);

/** What the server has taken once this was done. */
async function taken(page, act) {
    const [response] = await Promise.all([page.waitForResponse(/\/feedback$/), act()]);
    assert.equal(response.status(), 200);
    return (await response.json()).truth;
}

async function enter(page, key) {
    await page.getByLabel("Key", { exact: true }).fill(key);
    await page.getByRole("button", { name: "Use this key" }).click();
}

async function reviewOf(page, model) {
    await page.locator("main:visible").getByLabel("Model").selectOption(model);
    await page.getByRole("heading", { name: "What is right?" }).waitFor();
}

async function labels(page) {
    for (const picture of [red, red, red, red, red, black, black, black, black, black]) await predict("colours", picture);
    await left("colours", 10);
    await predict("best", red);
    await left("best", 1);
    await page.goto(`${url}/#review`);
    await enter(page, PREDICT);
    await page.getByText("needs a key of scope “admin”").waitFor();
    await enter(page, ADMIN);
    const [only, bench] = [1, 10].map((count) => page.getByRole("region", { name: `Prediction 1 of ${count}`, exact: true }));
    await only.waitFor();
    assert.ok(await only.evaluate((element) => element === document.activeElement), "the keyboard is there at once");
    const model = page.locator("main:visible").getByLabel("Model");
    await model.focus();
    await model.selectOption("colours");
    await bench.waitFor();
    assert.ok(await model.evaluate((element) => element === document.activeElement), "and is left where it is");
    await Promise.all([page.waitForResponse(/by=newest/), page.getByLabel("Order").selectOption("newest")]);
    await bench.waitFor();
    await page.locator(".sheet img").waitFor();
    const row = page.getByRole("row", { name: /^red/ });
    assert.deepEqual(await texts(row.getByRole("cell")), ["5 more with it, 5 more without it", "0", "0"]);
    await sound(page, "review");
    await shot(page, "review-light");

    // Black: nothing is named. The order was chosen with the list, so the keyboard comes here by a click.
    await page.getByRole("heading", { name: "What is right?" }).click();
    const boxes = page.getByRole("checkbox", { name: /score/ });
    assert.deepEqual(await Promise.all([0, 1, 2].map((place) => boxes.nth(place).isChecked())), [false, false, false]);
    await page.keyboard.press("1");
    await page.keyboard.press("3");
    await page.keyboard.press("1");
    assert.deepEqual(await Promise.all([0, 1, 2].map((place) => boxes.nth(place).isChecked())), [false, false, true]);
    await page.keyboard.press("s");
    await page.getByText("Skipped.").waitFor();
    await page.keyboard.press("b");
    await page.getByRole("region", { name: "Prediction 1 of 10" }).waitFor();
    assert.ok(await boxes.nth(2).isChecked(), "what was changed stays changed");
    await page.keyboard.press("3");
    assert.deepEqual(await taken(page, () => page.keyboard.press("Enter")), { labels: [] });
    await page.getByText("Saved.").waitFor();
    await page.getByRole("region", { name: "Prediction 2 of 10" }).waitFor();
    await row.getByText("4 more without it").waitFor();
    assert.deepEqual(await texts(row.getByRole("cell")), ["5 more with it, 4 more without it", "0", "1"]);

    // Without the letters' and digits' meaning, Enter and the buttons stay.
    const single = page.getByLabel("Single keys");
    await single.uncheck();
    await page.getByRole("heading", { name: "What is right?" }).click();
    await page.keyboard.press("3");
    assert.ok(!(await boxes.nth(2).isChecked()));
    await single.check();
    await boxes.nth(2).focus();
    await page.keyboard.press("Space");
    assert.deepEqual(await taken(page, () => page.keyboard.press("Enter")), { labels: ["red"] });
    assert.equal((await counts()).labels[0].positives, 1);
}

async function thresholds(page) {
    const fit = page.getByRole("button", { name: "Fit thresholds anew" });
    assert.ok(await fit.isDisabled());
    for (let place = 3; place <= 10; place += 1) {
        await page.getByRole("region", { name: `Prediction ${place} of 10` }).waitFor();
        await taken(page, () => page.keyboard.press("Enter"));
    }
    const nothing = page.getByRole("region", { name: "Nothing is left to look at" });
    await nothing.waitFor();
    assert.ok(await nothing.evaluate((element) => element === document.activeElement), "the keyboard is not lost at the end");
    const red = (await counts()).labels[0];
    assert.deepEqual([red.positives, red.negatives], [6, 4]);
    await sound(page, "nothing left");
    await predict("colours", black);
    await left("colours", 1);
    await page.getByRole("button", { name: "Look again" }).click();
    await page.getByRole("region", { name: "Prediction 1 of 1" }).waitFor();
    await taken(page, () => page.getByRole("button", { name: /^Save/ }).click());
    const row = page.getByRole("row", { name: /^red/ });
    await row.getByText("enough").waitFor();
    assert.deepEqual(await texts(row.getByRole("cell")), ["enough", "6", "5"]);
    await fit.click();
    const dialog = page.getByRole("dialog");
    await dialog.getByRole("row", { name: /^red balanced/ }).waitFor();
    await sound(page, "new thresholds");
    await shot(page, "review-thresholds-light", false);
    await dialog.getByRole("button", { name: "Put them in force" }).click();
    await page.getByText("Revision 1 of the thresholds holds now.").waitFor();
    assert.equal((await ask("/v1/models/colours", PREDICT)).thresholds_revision, 1);
    await page.getByRole("button", { name: "Roll back thresholds" }).click();
    await page.getByText("The model file's own thresholds hold again.").waitFor();
    await page.getByRole("button", { name: "Roll back thresholds" }).click();
    await page.getByRole("alert").getByText("That is not possible now.").waitFor();
}

async function oneLabel(page) {
    await reviewOf(page, "best");
    const radios = page.getByRole("radio");
    assert.ok(await radios.nth(2).isChecked(), "the best label is red");
    await sound(page, "one label");
    await page.getByRole("heading", { name: "What is right?" }).click();
    await page.keyboard.press("2");
    assert.deepEqual(await taken(page, () => page.keyboard.press("Enter")), { labels: ["green"] });
}

async function points(page) {
    const { points } = await predict("faces", face);
    await left("faces", 1);
    await reviewOf(page, "faces");
    assert.deepEqual(await texts(page.getByLabel("Order").locator("option")), ["the newest first", "where a trial disagrees most"]);
    const circles = page.locator("circle.point");
    await circles.first().waitFor();
    assert.equal(await circles.count(), 68);
    const at = async (place) => circles.nth(place).evaluate((circle) => [circle.cx.baseVal.value, circle.cy.baseVal.value]);
    const near = (found, expected) => expected.forEach((value, axis) => assert.ok(Math.abs(found[axis] - value) < 0.01, `${found} for ${expected}`));
    const moved = points.map(({ x, y }) => [x, y]);
    await page.getByRole("heading", { name: "What is right?" }).click();
    await page.keyboard.press("]");
    assert.equal(await page.evaluate(() => document.activeElement.textContent.startsWith("jaw_0")), true);
    for (let step = 0; step < 3; step += 1) await page.keyboard.press("ArrowRight");
    await page.keyboard.press("Shift+ArrowUp");
    moved[0] = [points[0].x + 3, points[0].y - 10];
    near(await at(0), moved[0]);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("ArrowDown");
    moved[1] = [points[1].x, points[1].y + 1];
    near(await at(1), moved[1]);
    await page.keyboard.press("[");
    await page.keyboard.press("[");
    await page.keyboard.press("Delete");
    await page.getByText("left out", { exact: true }).waitFor();

    // Point 30, the tip of the nose, by the mouse: eleven pixels of the screen to the right, as many of the picture as they are.
    const picture = await page.locator(".sheet img").boundingBox();
    const scale = picture.width / 240;
    const [x, y] = [picture.x + points[30].x * scale, picture.y + points[30].y * scale];
    await page.mouse.move(x + 1, y);
    await page.mouse.down();
    await page.mouse.move(x + 12, y, { steps: 4 });
    await page.mouse.up();
    moved[30] = [points[30].x + 11 / scale, points[30].y];
    near(await at(30), moved[30]);
    assert.equal(await page.locator(".placed[aria-pressed=true] .point-name").textContent(), points[30].name);
    await sound(page, "review of points");
    await shot(page, "review-points-light");
    const truth = await taken(page, () => page.keyboard.press("Enter"));
    assert.deepEqual(truth.points.map(({ name }) => name), points.slice(0, 67).map(({ name }) => name));
    truth.points.forEach(({ x, y }, place) => near([x, y], moved[place]));
}

async function values(page) {
    await predict("redness", red);
    await left("redness", 1);
    await reviewOf(page, "redness");
    const field = page.getByLabel("redness", { exact: true });
    await field.fill("much");
    assert.ok(await page.getByRole("button", { name: /^Save/ }).isDisabled());
    await field.fill("0.75");
    await sound(page, "review of values");
    assert.deepEqual(await taken(page, () => page.keyboard.press("Enter")), { values: [{ name: "redness", value: 0.75 }] });
}

async function nothingThere(browser) {
    const [forgetful, pictureless, without] = others;
    const { page, close } = await open(browser, LIGHT, ["501"]);
    await page.goto(`${forgetful}/#review`);
    await page.getByText("This server remembers no answer").waitFor();
    await sound(page, "nothing remembered");
    await shot(page, "review-nothing-light");
    await predict("colours", red, pictureless);
    await left("colours", 1, pictureless);
    await page.goto(`${pictureless}/#review`);
    await page.getByText("The picture of this prediction was not kept.").waitFor();
    await sound(page, "no picture");
    await shot(page, "review-no-picture-light");
    assert.deepEqual(await taken(page, () => page.keyboard.press("Enter")), { labels: ["red"] });
    await page.goto(`${without}/#review`);
    await page.getByText("This server has no database.").waitFor();
    await sound(page, "no database");
    await close();
}

async function otherLooks(browser) {
    for (const [name, looks] of Object.entries({ dark: DARK, phone: PHONE })) {
        const { page, close } = await open(browser, looks, ["401"]);
        await predict("colours", red);
        await predict("faces", face);
        await left("colours", name === "dark" ? 1 : 2);
        await page.goto(`${url}/#review`);
        await enter(page, PREDICT);
        await page.getByText("needs a key of scope “admin”").waitFor();
        await enter(page, ADMIN);
        await reviewOf(page, "colours");
        await page.locator(".sheet img").waitFor();
        await sound(page, `review, ${name}`);
        await shot(page, `review-${name}`);
        await reviewOf(page, "faces");
        await page.locator("circle.point").first().waitFor();
        await page.locator(".placed").nth(30).click();
        await sound(page, `review of points, ${name}`);
        await shot(page, `review-points-${name}`);
        await close();
    }
}

await test(async (browser) => {
    const { page, close } = await open(browser, LIGHT, ["401", "403", "409"]);
    await labels(page);
    await thresholds(page);
    await oneLabel(page);
    await points(page);
    await values(page);
    await close();
    await nothingThere(browser);
    await otherLooks(browser);
});
