// The playground with the shipped models: labels, marks, points, several pictures, every way to give one, problems.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { DARK, LIGHT, PHONE, open, shot, sound, test, texts, url } from "./browser.mjs";
import { linesWork } from "./lines.mjs";

const samples = new URL("../../samples/", import.meta.url).pathname;
const scenes = readFileSync(`${samples}scenes.jpg`);
const faces = readFileSync(`${samples}faces.jpg`);
const tags = (page) => texts(page.locator(".said .tag"));
const file = (name, buffer) => ({ name, mimeType: "image/jpeg", buffer });
const give = (page, ...files) => page.locator("input[type=file][multiple]").setInputFiles(files);

/** What the server itself names, by a query of the page's. */
async function named(query, picture = scenes) {
    const headers = { "content-type": "image/jpeg" };
    const response = await fetch(`${url}/v1/models/scenes/predict${query}`, { method: "POST", headers, body: picture });
    return (await response.json()).labels.map(({ label }) => label);
}

async function labelsAndMarks(browser) {
    const { page, close, predictions } = await open(browser, LIGHT);
    await page.goto(url);
    await page.getByRole("heading", { name: "What does the model see?" }).waitFor();
    await sound(page, "welcome");
    await shot(page, "welcome-light", false);
    await page.getByRole("button", { name: "A cat" }).focus();
    await page.keyboard.press("Enter");
    await page.locator(".bars").waitFor();
    assert.deepEqual(await tags(page), await named(""));
    assert.deepEqual(await tags(page), ["cat"]);
    assert.equal(await page.locator(".bars li").count(), 5);
    await sound(page, "labels");
    await shot(page, "labels-light");
    await shot(page, "labels-window", false);

    const bus = page.getByRole("slider", { name: "Threshold of bus" });
    assert.match(await bus.getAttribute("aria-valuetext"), /^0\.82; score 0\.0\d+: bus is not named$/);
    await bus.focus();
    await page.keyboard.press("Home");
    assert.deepEqual(await tags(page), ["cat", "bus"]);
    assert.match(await bus.getAttribute("aria-valuetext"), /bus is named$/);
    await page.getByText("Marks that you move one by one hold on this page only").waitFor();
    await shot(page, "labels-moved", false);

    await page.getByRole("button", { name: "Reset" }).click();
    assert.deepEqual(await tags(page), ["cat"]);
    const box = await page.getByRole("slider", { name: "Threshold of cat" }).boundingBox();
    await page.mouse.move(box.x + 9 + 0.22 * (box.width - 18), box.y + box.height / 2);
    await page.mouse.down();
    await page.mouse.move(box.x + box.width * 0.7, box.y + box.height / 2, { steps: 5 });
    await page.mouse.up();
    const moved = Number(await page.getByRole("slider", { name: "Threshold of cat" }).inputValue());
    assert.ok(Math.abs(moved - 0.7) < 0.03, `dragged to ${moved}`);

    await page.getByRole("slider", { name: "All marks" }).focus();
    await page.keyboard.press("Home");
    assert.equal((await tags(page)).length, 5);
    assert.deepEqual(await tags(page), await named("?threshold=0"));
    assert.match(await page.locator("#code-lines").textContent(), /predict\?threshold=0'/);
    assert.equal(predictions(), 1, "a moved mark asks the server nothing");
    await page.getByRole("button", { name: "Reset" }).click();

    await linesWork(page, samples, ["cat"]);
    await close();
}

async function points(browser) {
    const { page, close } = await open(browser, DARK);
    await page.goto(url);
    await page.getByRole("button", { name: "A face" }).click();
    await page.locator(".point-list").waitFor();
    const headers = { "content-type": "image/jpeg" };
    const response = await fetch(`${url}/v1/models/faces/predict`, { method: "POST", headers, body: faces });
    const expected = (await response.json()).points;
    assert.equal(expected.length, 68);
    const drawn = await page.locator("circle.point").evaluateAll((all) => all.map((one) => [Number(one.getAttribute("cx")), Number(one.getAttribute("cy"))]));
    assert.deepEqual(drawn, expected.map(({ x, y }) => [x, y]));
    // A pixel of the picture is where the browser shows it: the first point, by the picture's own box.
    const picture = await page.locator(".sheet img").boundingBox();
    const first = await page.locator("circle.point").first().boundingBox();
    const shown = picture.x + (expected[0].x / 240) * picture.width;
    assert.ok(Math.abs(first.x + first.width / 2 - shown) < 1, `${first.x} for ${shown}`);
    await sound(page, "points, dark");
    await shot(page, "points-dark");

    const list = page.getByRole("listbox", { name: /^Points/ });
    await list.focus();
    await page.keyboard.press("ArrowDown");
    assert.equal(await page.locator("text.name").textContent(), expected[1].name);
    await page.keyboard.press("End");
    assert.equal(await page.locator("text.name").textContent(), expected[67].name);
    assert.equal(await list.getAttribute("aria-activedescendant"), "point-67");
    const last = page.getByRole("option", { name: /^lip_inner_7/ });
    const [row, whole] = [await last.boundingBox(), await list.boundingBox()];
    assert.ok(row.y >= whole.y && row.y + row.height <= whole.y + whole.height + 1, "the list follows");
    await page.getByLabel("Names in the picture").check();
    assert.deepEqual(await texts(page.locator("text.name")), expected.map(({ name }) => name));

    const frame = page.locator(".frame");
    await frame.focus();
    for (let step = 0; step < 4; step += 1) await page.keyboard.press("+");
    await page.waitForTimeout(300);
    const larger = await page.locator(".sheet img").boundingBox();
    assert.ok(Math.abs(larger.width / picture.width - 4) < 0.02, `${picture.width} to ${larger.width}`);
    assert.ok(await frame.evaluate((element) => element.scrollLeft > 0 && element.scrollTop > 0), "the middle stays");
    await shot(page, "points-zoomed-dark", false);
    const before = await frame.evaluate((element) => element.scrollLeft);
    const box = await frame.boundingBox();
    await page.mouse.move(box.x + 200, box.y + 200);
    await page.mouse.down();
    await page.mouse.move(box.x + 120, box.y + 200, { steps: 4 });
    await page.mouse.up();
    assert.equal(await frame.evaluate((element) => element.scrollLeft), before + 80);
    await page.getByRole("button", { name: /whole picture$/ }).click();
    await page.waitForTimeout(300);
    assert.equal(Math.round((await page.locator(".sheet img").boundingBox()).width), Math.round(picture.width));
    await linesWork(page, samples, ["lip_inner_7"]);
    await close();
}

async function severalAndProblems(browser) {
    const { page, context, close, predictions } = await open(browser, LIGHT, ["415", "422", "ERR_INTERNET_DISCONNECTED"]);
    await page.goto(url);
    await page.getByRole("heading", { name: "What does the model see?" }).waitFor();
    await give(page, file("scenes.jpg", scenes), file("faces.jpg", faces), file("broken.jpg", scenes.subarray(0, 4000)));
    await page.getByRole("button", { name: "broken.jpg, failed" }).waitFor();
    assert.equal(predictions(), 1, "pictures that are given together go together");
    assert.deepEqual(await tags(page), ["cat"]);
    assert.match(await page.locator(".timings").textContent(), /request3 pictures/);
    await page.getByRole("button", { name: "faces.jpg" }).first().click();
    assert.deepEqual(await tags(page), await named("", faces));
    await page.getByRole("button", { name: "broken.jpg, failed" }).click();
    const alert = page.getByRole("alert");
    await alert.getByText("The picture is damaged.").waitFor();
    await alert.getByText("What the server said").click();
    assert.match(await alert.textContent(), /422 · request [0-9a-f-]{36}/);
    await sound(page, "a problem");
    await shot(page, "problem-light");
    await page.getByRole("button", { name: "Remove broken.jpg" }).click();
    assert.equal(await page.locator(".strip li").count(), 2);
    await linesWork(page, samples, ["scenes.jpg", "faces.jpg", "cat"]);

    await give(page, file("letter.jpg", Buffer.from("Dear Sir or Madam")));
    await alert.getByText("This is not a picture that can be read here.").waitFor();
    await page.getByText("Your browser cannot show this file.").waitFor();

    await context.setOffline(true);
    await give(page, file("again.jpg", scenes));
    await alert.getByText("The server did not answer.").waitFor();
    await context.setOffline(false);
    await alert.getByRole("button", { name: "Try again" }).click();
    await page.locator(".bars").waitFor();
    assert.deepEqual(await tags(page), ["cat"]);

    // The other model sees the same pictures.
    await page.getByLabel("Model").selectOption("faces");
    await page.locator(".point-list").waitFor();
    await close();
}

async function pasteDropAndCamera(browser) {
    const { page, close } = await open(browser, PHONE);
    await page.goto(url);
    await page.getByRole("heading", { name: "What does the model see?" }).waitFor();
    await sound(page, "welcome, phone");
    await shot(page, "welcome-phone");
    const bring = (how) =>
        page.evaluate(
            ([how, base64]) => {
                const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], `${how}.jpg`, { type: "image/jpeg" }));
                const event = how === "paste" ? new ClipboardEvent("paste", { clipboardData: data, bubbles: true }) : new DragEvent(how, { dataTransfer: data, bubbles: true, cancelable: true });
                document.body.dispatchEvent(event);
            },
            [how, scenes.toString("base64")],
        );
    await bring("paste");
    await page.getByRole("button", { name: "paste.jpg", exact: true }).waitFor();
    await page.locator(".bars").waitFor();
    assert.deepEqual(await tags(page), ["cat"]);
    await sound(page, "labels, phone");
    await shot(page, "labels-phone");
    await bring("dragover");
    await page.getByText("Let go to add").waitFor();
    await bring("drop");
    await page.getByRole("button", { name: "drop.jpg", exact: true }).waitFor();
    assert.equal(await page.locator(".drop-here").count(), 0);
    await close();

    const desktop = await open(browser, DARK);
    await desktop.page.goto(url);
    await desktop.page.getByRole("button", { name: "Camera" }).click();
    await desktop.page.getByRole("heading", { name: "Take a picture" }).waitFor();
    const take = desktop.page.getByRole("button", { name: "Take it" });
    await take.click();
    await desktop.page.getByRole("button", { name: "photo.jpg", exact: true }).waitFor();
    await desktop.page.locator(".bars").waitFor();
    await sound(desktop.page, "a photo, dark");
    await desktop.close();
}

await test(async (browser) => {
    await labelsAndMarks(browser);
    await points(browser);
    await severalAndProblems(browser);
    await pasteDropAndCamera(browser);
});
