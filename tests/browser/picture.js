// Takes the README's picture: `lupis ui --demo`, with the details of a call.
//
//     node picture.js ../../docs/images/viewer.png
import { Recorder, Viewer, openBrowser, openPage, settle } from "./viewer.js";

const [path] = process.argv.slice(2);
const recorder = new Recorder();
const viewer = await Viewer.start(recorder.environment, "--demo");
const browser = await openBrowser();
const page = await openPage(browser, viewer.url, { viewport: { width: 1280, height: 680 } });
await page.goto(`${viewer.origin}/?since=24h`);
await settle(page);
await page.locator("main .row-link", { hasText: "claude" }).first().click();
await page.locator(".panel .price").waitFor();
await page.screenshot({ path });
await browser.close();
await viewer.close();
recorder.close();
