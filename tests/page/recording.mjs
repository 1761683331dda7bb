// What the README shows, as pictures one after another; tests/api/page.rs makes one GIF of them.

import { open, shot, test, url } from "./browser.mjs";

await test(async (browser) => {
    const { page, close } = await open(browser, { colorScheme: "light", viewport: { width: 920, height: 620 } });
    let frames = 0;
    const keep = async () => {
        await page.waitForTimeout(300);
        frames += 1;
        await shot(page, `frame-${frames}`, false);
    };
    await page.goto(url);
    await page.getByRole("heading", { name: "What does the model see?" }).waitFor();
    await keep();
    await page.getByRole("button", { name: "A cat" }).click();
    await page.locator(".bars").waitFor();
    await page.mouse.move(0, 0);
    await keep();
    const bus = page.getByRole("slider", { name: "Threshold of bus" });
    for (const place of ["0.5", "0.2", "0.01"]) {
        await bus.fill(place);
        await keep();
    }
    await page.getByRole("button", { name: "A face" }).click();
    await page.locator(".point-list").waitFor();
    await page.mouse.move(0, 0);
    await keep();
    for (const point of [27, 38, 57]) {
        await page.locator("circle.point").nth(point).hover();
        await keep();
    }
    await close();
});
