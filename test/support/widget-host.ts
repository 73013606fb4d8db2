import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, FrameLocator, Page } from "playwright-core";
import { onTestFinished } from "vitest";
import { openPage } from "./browser.js";

/** A widget in the page of a chat, whose calls go to the server of a client. */
export interface ShownWidget {
  page: Page;
  widget: FrameLocator;
  /** The tools that the widget has called, with their arguments, oldest first. */
  calls: { name: string; arguments: Record<string, unknown> }[];
  /** What the model was told. */
  news: string[];
  requests: string[];
  complaints: string[];
  /** Hands over what the call was given that the widget belongs to, and what it has answered. */
  tell(given: Record<string, unknown>, result?: object): Promise<void>;
  /** Changes theme and the like. */
  change(context: object): Promise<void>;
}

/** A client of either protocol's SDK. */
interface HostClient {
  callTool(call: { name: string; arguments: Record<string, unknown> }): Promise<unknown>;
  readResource(what: { uri: string }): Promise<{ contents: object[] }>;
}

let building: Promise<string> | undefined;

/** The page's script. */
function buildHost(): Promise<string> {
  building ??= build({
    entryPoints: [fileURLToPath(new URL("widget-host.mjs", import.meta.url))],
    bundle: true,
    write: false,
    format: "iife",
    platform: "browser",
    logLevel: "silent",
  }).then(({ outputFiles }) => outputFiles[0]?.text ?? "");
  return building;
}

/**
 * Reads the widget from the client's server, shows it in a host built on the official `app-bridge`, and lets the client
 * carry its calls out.
 * @param prepare done to the page of the chat before the widget is there
 */
export async function showWidget(
  browser: Browser,
  client: HostClient,
  context: object = { theme: "light" },
  prepare: (page: Page) => Promise<void> = async () => {},
): Promise<ShownWidget> {
  const script = await buildHost();
  const server = createServer((_request, response) => {
    response.setHeader("content-type", "text/html; charset=utf-8");
    response.end(
      `<!doctype html><meta charset="utf-8"><link rel="icon" href="data:,"><title>A chat</title>` +
        `<style>body{margin:2rem;background:#ddd}iframe{width:46rem;max-width:100%;border:1px solid #999;border-radius:12px}</style>` +
        `<body><script>${script.replaceAll("</script", "<\\/script")}</script>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
  const { page, requests, complaints } = await openPage(browser, url, {
    viewport: { width: 800, height: 600 },
  });
  onTestFinished(async () => {
    await page.context().close();
    server.close();
  });
  await prepare(page);
  const calls: ShownWidget["calls"] = [];
  const news: string[] = [];
  await page.exposeFunction("hostCallTool", async (params: ShownWidget["calls"][number]) => {
    calls.push(params);
    return client.callTool(params);
  });
  await page.exposeFunction("hostTold", ({ content }: { content: { text: string }[] }) => {
    news.push(...content.map(({ text }) => text));
  });
  const { contents } = await client.readResource({ uri: "ui://automagik-workflows-mcp/widget.html" });
  const html = (contents[0] as { text: string }).text;
  // Written as text: the tests' own sources know no browser.
  const inPage = (code: string, ...values: unknown[]) =>
    page.evaluate(`(${code})(${values.map((value) => JSON.stringify(value)).join(", ")})`);
  await inPage("(html, context) => window.openWidget(html, context)", html, context);
  return {
    page,
    widget: page.frameLocator("iframe"),
    calls,
    news,
    /** To anything but the page of the chat itself. */
    get requests() {
      return requests.filter((address) => ![url, "data:,", "about:srcdoc"].includes(address));
    },
    complaints,
    async tell(given, result) {
      await inPage("(given) => window.bridge.sendToolInput({ arguments: given })", given);
      if (result) await inPage("(result) => window.bridge.sendToolResult(result)", result);
    },
    async change(next) {
      await inPage("(next) => window.bridge.setHostContext(next)", next);
    },
  };
}
