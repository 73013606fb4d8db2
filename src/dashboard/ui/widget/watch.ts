import type { WidgetView } from "../../views/widget.js";
import type { Host, ToolResult } from "./host.js";
import { problem, view } from "./state.js";
import { readToolAnswer } from "./tool-answer.js";

/** What the widget is about, in the arguments of the tool that tells it. */
export type About = { run_id: string } | { plan_id: string } | { session_name: string };

const REFRESH = "refresh_widget";
/** How long after an answer it is asked again, in ms: while it goes on, while it waits for a person, when nothing came. */
const GOES_ON_MS = 2_000;
const WAITS_MS = 5_000;
const FAILED_MS = 10_000;
/** So long an answer is waited for before it is asked again, in ms: a host that has lost one tells nobody. */
const LOST_MS = 30_000;
const FINAL = ["completed", "failed", "killed"];

export interface Watch {
  /** Shows this from now on. */
  about(what: About): void;
  /** The call was about no run and no plan: nothing more is asked, unless one is shown already. */
  forget(): void;
  /** Looks at once. */
  look(): void;
  /** Whether the widget can be seen: nothing is asked for one that cannot. */
  setSeen(isSeen: boolean): void;
  stop(): void;
}

/** Keeps what is shown up to date: by asking, since a host pushes nothing to a widget after the answer of its call. */
export function watchAbout(host: Host): Watch {
  let what: About | undefined;
  let timer: number | undefined;
  let isSeen = true;
  let isEnded = false;
  let isLooking = false;
  let again = false;
  /** How often it was asked, and to which of these the answer is shown. */
  let asked = 0;
  let answered = 0;

  async function look(): Promise<void> {
    window.clearTimeout(timer);
    if (!what || isEnded) return;
    if (isLooking) {
      again = true;
      return;
    }
    isLooking = true;
    again = false;
    const pause = await ask(what);
    isLooking = false;
    if (again) void look();
    else if (pause !== undefined && isSeen && !isEnded) timer = window.setTimeout(() => void look(), pause);
  }

  /** @returns when to ask again, in ms; undefined when it is over */
  async function ask(about: About): Promise<number | undefined> {
    asked += 1;
    const number = asked;
    try {
      return await inTime(host.callTool(REFRESH, about).then((result) => take(about, number, result)));
    } catch (error) {
      if (about === what) problem.value = `Not up to date: ${(error as Error).message}`;
      return FAILED_MS;
    }
  }

  /** Shows an answer, unless a newer one is shown already. @returns when to ask again, as `ask` */
  function take(about: About, number: number, result: ToolResult): number | undefined {
    const { isError, text } = readToolAnswer(result);
    const seen = (result.structuredContent as { view?: WidgetView } | undefined)?.view;
    if (about !== what || number < answered) return 0;
    if (isError || !seen) {
      // A run that is just being started may not be there yet.
      if ("session_name" in about) return GOES_ON_MS;
      problem.value = text;
      return FAILED_MS;
    }
    answered = number;
    // By its name it is found only while it goes on.
    if (seen.run && "session_name" in about) what = { run_id: seen.run.runId };
    view.value = seen;
    problem.value = "";
    return pauseOf(seen);
  }

  return {
    about(next) {
      if (JSON.stringify(next) === JSON.stringify(what)) return;
      what = next;
      void look();
    },
    forget() {
      if (view.value) return;
      what = undefined;
      window.clearTimeout(timer);
    },
    look: () => void look(),
    setSeen(seen) {
      if (seen === isSeen) return;
      isSeen = seen;
      const shown = view.value;
      if (seen && (!shown || pauseOf(shown) !== undefined)) void look();
      else window.clearTimeout(timer);
    },
    stop() {
      isEnded = true;
      window.clearTimeout(timer);
    },
  };
}

/** @throws Error when nothing has come in time; what comes later is not lost for that */
function inTime<Answer>(answer: Promise<Answer>): Promise<Answer> {
  let timer: number | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = window.setTimeout(
      () => reject(new Error("the client gives no answer. It is asked again.")),
      LOST_MS,
    );
  });
  return Promise.race([answer, late]).finally(() => window.clearTimeout(timer));
}

function pauseOf({ run, plan }: WidgetView): number | undefined {
  const { status = "", needs = [] } = plan ?? run ?? {};
  if (FINAL.includes(status)) return undefined;
  return needs.length > 0 ? WAITS_MS : GOES_ON_MS;
}
