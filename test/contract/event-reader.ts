import { onTestFinished, vi } from "vitest";

export interface ReadEvent {
  id: number | undefined;
  event: string;
  // biome-ignore lint/suspicious/noExplicitAny: the data is looked into freely
  data: any;
  /** `performance.now()` when it had arrived. */
  at: number;
}

/** A reader of server-sent events. */
export interface EventReader {
  response: Response;
  events: ReadEvent[];
  comments: string[];
  /** Resolves when so many events have arrived. */
  count(n: number): Promise<ReadEvent[]>;
  /** True once the server has ended the stream, or the connection broke. */
  ended: Promise<"ended" | "broken">;
  stop(): void;
}

/** Opens a stream and reads it until the test is over. */
export async function readEvents(url: string, headers: Record<string, string>): Promise<EventReader> {
  const gone = new AbortController();
  onTestFinished(() => gone.abort());
  const response = await fetch(url, { headers, signal: gone.signal });
  const events: ReadEvent[] = [];
  const comments: string[] = [];

  function take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split("\n")) {
      const at = line.indexOf(": ");
      if (at === 0) comments.push(line.slice(2));
      else fields.set(line.slice(0, at), line.slice(at + 2));
    }
    const event = fields.get("event");
    if (!event) return;
    const id = fields.get("id");
    events.push({
      id: id === undefined ? undefined : Number(id),
      event,
      data: JSON.parse(fields.get("data") ?? "null"),
      at: performance.now(),
    });
  }

  async function read(): Promise<"ended" | "broken"> {
    let text = "";
    const decoder = new TextDecoder();
    try {
      for await (const chunk of response.body as unknown as AsyncIterable<Uint8Array>) {
        const blocks = (text + decoder.decode(chunk, { stream: true })).split("\n\n");
        text = blocks.pop() ?? "";
        for (const block of blocks) take(block);
      }
      return "ended";
    } catch {
      return "broken";
    }
  }

  return {
    response,
    events,
    comments,
    count: (n) =>
      vi.waitFor(
        () => {
          if (events.length < n) throw new Error(`${events.length} of ${n} events have arrived`);
          return events;
        },
        { timeout: 10_000, interval: 2 },
      ),
    ended: read(),
    stop: () => gone.abort(),
  };
}
