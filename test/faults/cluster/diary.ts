import { closeSync, existsSync, openSync, readSync } from "node:fs";

/** What one agent of a worker has written: see scripted-agent.mjs. Times by the monotonic clock, in ms. */
export interface AgentLife {
  /** As the engine marks it: the run's id without dashes. */
  run: string;
  session: string;
  pid: number;
  began: number;
  /** When it last said that it is there; it lives longer than that by a tenth of a second at most, as it gets on. */
  seen: number;
  ended: boolean;
  /** Texts that it has taken up, and the answers that it got. */
  took: string[];
  answers: string[];
}

interface Line {
  run: string;
  session: string;
  pid: number;
  at: number;
  what: "began" | "lives" | "took" | "answered" | "ended";
  text?: string;
}

export interface Diary {
  /** All agents so far, in the order in which they began. */
  lives(): readonly AgentLife[];
}

/** Reads what agents append to a file, each time only what is new. */
export function readDiary(file: string): Diary {
  const lives = new Map<string, AgentLife>();
  let offset = 0;
  let rest = "";

  function take({ run, session, pid, at, what, text = "" }: Line): void {
    const name = `${run} ${pid}`;
    const life = lives.get(name) ?? {
      ...{ run, session, pid, began: at, seen: at, ended: false },
      ...{ took: [], answers: [] },
    };
    lives.set(name, life);
    life.seen = Math.max(life.seen, at);
    if (what === "took") life.took.push(text);
    if (what === "answered") life.answers.push(text);
    if (what === "ended") life.ended = true;
  }

  return {
    lives() {
      if (!existsSync(file)) return [];
      const handle = openSync(file, "r");
      const buffer = Buffer.alloc(256 * 1024);
      for (let size = 1; size > 0; ) {
        size = readSync(handle, buffer, 0, buffer.length, offset);
        offset += size;
        rest += buffer.toString("latin1", 0, size);
      }
      closeSync(handle);
      const lines = rest.split("\n");
      rest = lines.pop() ?? "";
      for (const line of lines) take(JSON.parse(Buffer.from(line, "latin1").toString("utf8")));
      return [...lives.values()];
    },
  };
}
