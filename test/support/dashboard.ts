import { randomUUID } from "node:crypto";
import { request } from "node:http";
import { onTestFinished } from "vitest";
import { ACTION_HEADER, type CallView } from "../../src/dashboard/views/calls.js";
import type { StreamEvents } from "../../src/dashboard/views/stream.js";

/** A browser's side of the dashboard: its cookie, and what its page sends. */
export interface DashboardPage {
  url: string;
  cookie: string;
  get<T>(path: string): Promise<T>;
  /** As `get`, whatever the status. */
  ask(path: string, init?: RequestInit & { headers?: Record<string, string> }): Promise<Response>;
  post<T>(path: string, body: unknown): Promise<T>;
  /** One click: an action with an id of its own. */
  act(action: string, args: Record<string, unknown>, id?: string): Promise<CallView>;
  /** What the person says to the form that a click has brought. */
  say(call: CallView, values?: Record<string, string>): Promise<CallView>;
  /** Ends the session. */
  leave(): Promise<void>;
  /** Listens to the events; those that came are kept. */
  listen(query?: string, headers?: Record<string, string>): Promise<Listening>;
}

export interface Listening {
  all: { event: keyof StreamEvents; id: string | undefined; data: unknown; at: number }[];
  /** Waits for one that fits, also among those that came before. */
  next<Name extends keyof StreamEvents>(
    event: Name,
    fits?: (data: StreamEvents[Name]) => boolean,
  ): Promise<StreamEvents[Name]>;
  close(): void;
}

/** Opens the dashboard by a link, as a browser does. */
export async function openDashboard(link: string): Promise<DashboardPage> {
  const { origin } = new URL(link);
  const opened = await fetch(link, { redirect: "manual" });
  const cookie = opened.headers.get("set-cookie")?.split(";")[0] ?? "";
  if (opened.status !== 303 || !cookie) throw new Error(`${opened.status} ${await opened.text()}`);
  return pageOf(origin, cookie);
}

/** A link to the dashboard of a server over HTTP. */
export async function inviteByToken(url: string, headers: Record<string, string> = {}): Promise<string> {
  const answer = await fetch(`${url}/dashboard/link`, { method: "POST", headers });
  const { url: link } = (await answer.json()) as { url?: string };
  if (!link) throw new Error(`No link: ${answer.status}`);
  return link;
}

export function pageOf(url: string, cookie: string): DashboardPage {
  const ask: DashboardPage["ask"] = (path, { headers = {}, ...init } = {}) =>
    fetch(`${url}/dashboard/api/${path}`, { ...init, headers: { cookie, ...headers } });
  async function read<T>(answer: Response): Promise<T> {
    if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }
  const send = (path: string, body: unknown) =>
    ask(path, {
      method: "POST",
      headers: { "content-type": "application/json", [ACTION_HEADER]: "1", origin: url },
      body: JSON.stringify(body),
    });
  const post = async <T>(path: string, body: unknown) => read<T>(await send(path, body));
  return {
    url,
    cookie,
    ask,
    get: async (path) => read(await ask(path)),
    post,
    async leave() {
      const { status } = await send("logout", {});
      if (status !== 204) throw new Error(`${status}`);
    },
    act: (action, args, id = randomUUID()) => post("actions", { id, action, arguments: args }),
    async say(call, values) {
      if (call.state !== "form") throw new Error(`There is no form: ${JSON.stringify(call)}`);
      return post(`actions/${call.id}/form`, { formId: call.form.id, ...(values ? { values } : {}) });
    },
    listen: (query = "", headers = {}) =>
      listen(`${url}/dashboard/api/events${query}`, { cookie, ...headers }),
  };
}

function listen(url: string, headers: Record<string, string>): Promise<Listening> {
  const all: Listening["all"] = [];
  const watchers = new Set<() => void>();
  return new Promise((resolve, reject) => {
    const sent = request(url, { headers }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`${response.statusCode}`));
      let text = "";
      response.setEncoding("utf8").on("data", (piece: string) => {
        text += piece;
        const frames = text.split("\n\n");
        text = frames.pop() ?? "";
        for (const frame of frames) {
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, "m").exec(frame)?.[1];
          const event = field("event") as keyof StreamEvents | undefined;
          if (!event) continue;
          all.push({
            event,
            id: field("id"),
            data: JSON.parse(field("data") ?? "null"),
            at: performance.now(),
          });
        }
        for (const tell of [...watchers]) tell();
      });
      response.on("error", () => {});
      onTestFinished(() => void sent.destroy());
      resolve({
        all,
        close: () => sent.destroy(),
        next: (event, fits = () => true) =>
          new Promise((found, failed) => {
            const timer = setTimeout(() => {
              watchers.delete(look);
              failed(new Error(`No such ${event}: ${JSON.stringify(all).slice(0, 3_000)}`));
            }, 60_000);
            function look(): void {
              const one = all.find((each) => each.event === event && fits(each.data as never));
              if (!one) return;
              clearTimeout(timer);
              watchers.delete(look);
              found(one.data as never);
            }
            watchers.add(look);
            look();
          }),
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}
