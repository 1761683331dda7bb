// What the README shows: a picture, its labels, a threshold that is moved, points. scripts/recording puts the frames together.

import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { folder, open, test, url } from "./browser.mjs";

const to = `${folder}/recording`;
const LOOKS = { colorScheme: "light", viewport: { width: 920, height: 700 } };
/** Between two frames of a movement. */
const STEP_MS = 50;

/** A page whose pointer is drawn, which screenshots leave out, and that is recorded frame by frame. */
async function recorded(page) {
    await page.evaluate(() => {
        const pointer = document.createElementNS("http://www.w3.org/2000/svg", "svg");
        const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
        path.setAttribute("d", "M2 1v17l4.6-4.3 3 6.6 2.9-1.3-3-6.5 6.3-.5z");
        path.setAttribute("fill", "#111");
        path.setAttribute("stroke", "#fff");
        path.setAttribute("stroke-width", "1.4");
        pointer.append(path);
        Object.assign(pointer.style, { position: "fixed", left: "0", top: "0", width: "22px", height: "24px", zIndex: "99", pointerEvents: "none" });
        document.body.append(pointer);
        document.addEventListener("mousemove", ({ clientX, clientY }) => {
            pointer.style.transform = `translate(${clientX - 2}px, ${clientY - 1}px)`;
        });
    });
    const frames = [];
    let [x, y] = [460, 420];
    await page.mouse.move(x, y);
    const frame = async (milliseconds) => {
        const name = `${String(frames.length).padStart(3, "0")}.png`;
        await page.screenshot({ path: `${to}/${name}` });
        frames.push([name, milliseconds]);
    };
    const glide = async (toX, toY, steps) => {
        const [fromX, fromY] = [x, y];
        for (let step = 1; step <= steps; step += 1) {
            const share = (1 - Math.cos((Math.PI * step) / steps)) / 2;
            [x, y] = [fromX + (toX - fromX) * share, fromY + (toY - fromY) * share];
            await page.mouse.move(x, y);
            await frame(STEP_MS);
        }
    };
    const middle = async (locator) => {
        const box = await locator.boundingBox();
        return [box.x + box.width / 2, box.y + box.height / 2];
    };
    const press = async (locator) => {
        await glide(...(await middle(locator)), 10);
        await frame(250);
        await page.mouse.down();
        await page.mouse.up();
    };
    const done = () => writeFileSync(`${to}/frames.json`, JSON.stringify(frames));
    return { frame, glide, press, done };
}

rmSync(to, { recursive: true, force: true });
mkdirSync(to, { recursive: true });
await test(async (browser) => {
    const { page, close } = await open(browser, LOOKS);
    await page.goto(url);
    await page.getByRole("button", { name: "A cat" }).waitFor();
    await page.locator(".samples img").last().evaluate((image) => image.decode());
    const { frame, glide, press, done } = await recorded(page);
    await frame(1200);
    await press(page.getByRole("button", { name: "A cat" }));
    await page.locator(".bars").waitFor();
    await page.waitForTimeout(400);
    await frame(1500);

    // The mark of `bus` goes down below its score: the answer names it.
    const slider = page.getByRole("slider", { name: "Threshold of bus" });
    const score = Number(/score <?(0\.\d+)/.exec(await slider.getAttribute("aria-valuetext"))[1]);
    const box = await slider.boundingBox();
    const at = (value) => box.x + 9 + value * (box.width - 18);
    const row = box.y + box.height / 2;
    await glide(at(Number(await slider.inputValue())), row, 10);
    await page.mouse.down();
    await frame(200);
    await glide(at(score / 4), row, 12);
    await page.mouse.up();
    await page.waitForTimeout(300);
    await frame(1600);

    await press(page.getByRole("button", { name: "A face" }));
    await page.locator("circle.point").first().waitFor();
    await page.waitForTimeout(400);
    await frame(1400);
    const larger = page.getByRole("button", { name: "Larger" });
    await press(larger);
    await page.waitForTimeout(200);
    await frame(500);
    await page.mouse.down();
    await page.mouse.up();
    await page.waitForTimeout(200);
    await frame(600);
    const tip = await page.locator("circle.point").nth(44).boundingBox();
    await glide(tip.x + tip.width / 2, tip.y + tip.height / 2, 10);
    await page.waitForTimeout(100);
    await frame(2200);
    done();
    await close();
});
