import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { BoardView } from "../../src/dashboard/views/board.js";
import type { ActionRequest, CallView, FormReply } from "../../src/dashboard/views/calls.js";
import type { DeliveriesView } from "../../src/dashboard/views/deliveries.js";
import type { FigureRows, FiguresView } from "../../src/dashboard/views/figures.js";
import type { PlanDetail } from "../../src/dashboard/views/plan.js";
import type { DiffView, RunDetail } from "../../src/dashboard/views/run.js";
import type { SessionView } from "../../src/dashboard/views/session.js";
import type { StreamEvents } from "../../src/dashboard/views/stream.js";

const FILES = fileURLToPath(new URL("../../dist/dashboard", import.meta.url));
const TYPES: Record<string, string> = {
  html: "text/html; charset=utf-8",
  js: "text/javascript",
  css: "text/css",
};
/** As the real server sends it. */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; font-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/** What the dashboard's server would tell; each part can be changed between two requests. */
export interface Told {
  board: BoardView;
  /** The board is still being read: nothing of it is told to a page that opens. */
  isReading?: boolean;
  plans: Record<string, PlanDetail>;
  runs: Record<string, RunDetail>;
  diffs: Record<string, DiffView>;
  deliveries: DeliveriesView;
  figures(by: string): Promise<FiguresView>;
  rows(by: string, key: string): Promise<FigureRows>;
  /** What becomes of an action, and of the reply to its form. */
  call(request: ActionRequest): CallView;
  reply(request: ActionRequest, reply: FormReply): CallView;
}

/** A server with the dashboard's files and addresses, and with any state one wants to see there. */
export class StandInDashboard {
  readonly actions: ActionRequest[] = [];
  readonly replies: FormReply[] = [];
  readonly requests: string[] = [];
  private readonly streams = new Set<ServerResponse>();
  private readonly server = createServer((request, response) => void this.answer(request, response));
  private ids = 0;

  constructor(readonly told: Told) {}

  /** @returns the address of its page */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/dashboard/`;
  }

  /** Tells all pages that are open. */
  push<Name extends keyof StreamEvents>(name: Name, data: StreamEvents[Name]): void {
    for (const stream of this.streams) this.write(stream, name, data);
  }

  /** How many pages are connected. */
  get open(): number {
    return this.streams.size;
  }

  /** Ends the connections to the pages, as a server does that goes away. */
  drop(): void {
    for (const stream of this.streams) stream.destroy();
    this.streams.clear();
  }

  async close(): Promise<void> {
    this.drop();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  private write<Name extends keyof StreamEvents>(
    to: ServerResponse,
    name: Name,
    data: StreamEvents[Name],
  ): void {
    this.ids += 1;
    const id = name === "board" || name === "change" ? `id: ${this.ids}\n` : "";
    to.write(`${id}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`);
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", "http://127.0.0.1");
    const path = url.pathname.replace(/^\/dashboard\//, "");
    this.requests.push(`${request.method} ${path}`);
    if (path === "api/events") return this.stream(url, response);
    if (path.startsWith("api/")) {
      const body = request.method === "POST" ? JSON.parse(await textOf(request)) : undefined;
      const told = await this.find(path, url, body);
      response.writeHead(told ? 200 : 404, { "content-type": "application/json" });
      response.end(JSON.stringify(told ?? { error: `There is nothing at ${path}.` }));
      return;
    }
    const name = path === "" ? "index.html" : path;
    try {
      const contents = readFileSync(join(FILES, name));
      const type = TYPES[name.replace(/^.*\./, "")] ?? "application/octet-stream";
      response.writeHead(200, { "content-type": type, "content-security-policy": POLICY });
      response.end(contents);
    } catch {
      response.writeHead(404).end();
    }
  }

  private stream(url: URL, response: ServerResponse): void {
    response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
    this.streams.add(response);
    response.on("close", () => this.streams.delete(response));
    if (!url.searchParams.has("after") && !this.told.isReading)
      this.write(response, "board", this.told.board);
    const run = this.told.runs[url.searchParams.get("run") ?? ""];
    const plan = this.told.plans[url.searchParams.get("plan") ?? ""];
    if (run) this.write(response, "run", run);
    if (plan) this.write(response, "plan", plan);
    response.write(": here\n\n");
  }

  private find(path: string, url: URL, body: unknown): unknown {
    const [, what, id = "", part] = path.split("/").map(decodeURIComponent);
    const query = (name: string) => url.searchParams.get(name) ?? "";
    if (what === "session") return SESSION;
    if (what === "runs") return part === "diff" ? this.told.diffs[id] : this.told.runs[id];
    if (what === "figures") {
      return id === "rows" ? this.told.rows(query("by"), query("key")) : this.told.figures(query("by"));
    }
    if (what === "deliveries") return this.told.deliveries;
    if (what !== "actions") return undefined;
    if (part === "form") {
      const asked = this.actions.find((action) => action.id === id);
      this.replies.push(body as FormReply);
      return asked && this.told.reply(asked, body as FormReply);
    }
    this.actions.push(body as ActionRequest);
    return this.told.call(body as ActionRequest);
  }
}

const SESSION: SessionView = {
  version: "0.0.0",
  caller: "local",
  api: "http://127.0.0.1",
  actions: ["answer", "feedback", "kill", "take", "discard", "plan"],
  hasLog: true,
  hasDiff: true,
};

async function textOf(request: IncomingMessage): Promise<string> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return text;
}
