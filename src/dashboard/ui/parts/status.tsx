import type { ComponentChildren } from "preact";

/** How a state looks: by its shape and its word; the colour only adds to them. */
type Shape = "dot" | "ring" | "tick" | "cross" | "square" | "diamond" | "bars" | "dash" | "stop" | "clock";

interface Look {
  shape: Shape;
  /** Of the class names `tone-…`. */
  tone: "run" | "ok" | "bad" | "warn" | "idle";
  word: string;
}

const LOOKS: Record<string, Look> = {
  pending: { shape: "ring", tone: "idle", word: "pending" },
  queued: { shape: "clock", tone: "idle", word: "queued" },
  starting: { shape: "dot", tone: "run", word: "starting" },
  running: { shape: "dot", tone: "run", word: "running" },
  waiting: { shape: "diamond", tone: "warn", word: "waiting for you" },
  blocked: { shape: "stop", tone: "bad", word: "blocked" },
  paused: { shape: "bars", tone: "idle", word: "paused" },
  stalled: { shape: "clock", tone: "warn", word: "stalled" },
  unknown: { shape: "clock", tone: "warn", word: "unknown" },
  refused: { shape: "dash", tone: "bad", word: "refused" },
  completed: { shape: "tick", tone: "ok", word: "completed" },
  succeeded: { shape: "tick", tone: "ok", word: "succeeded" },
  failed: { shape: "cross", tone: "bad", word: "failed" },
  killed: { shape: "square", tone: "idle", word: "killed" },
  approve: { shape: "tick", tone: "ok", word: "approved" },
  "send-back": { shape: "dash", tone: "warn", word: "sent back" },
  stop: { shape: "square", tone: "bad", word: "stopped" },
  skipped: { shape: "dash", tone: "idle", word: "skipped" },
};

export function lookOf(status: string): Look {
  return LOOKS[status] ?? { shape: "ring", tone: "idle", word: status };
}

/** The state as a shape and a word. */
export function Status(props: { status: string; note?: ComponentChildren }) {
  const { shape, tone, word } = lookOf(props.status);
  return (
    <span class={`status tone-${tone}`}>
      <Mark shape={shape} />
      <span>
        {word}
        {props.note}
      </span>
    </span>
  );
}

/** The shape alone, for where the word stands beside it anyway. */
export function StatusMark(props: { status: string }) {
  const { shape, tone } = lookOf(props.status);
  return (
    <span class={`status tone-${tone}`}>
      <Mark shape={shape} />
    </span>
  );
}

function Mark({ shape }: { shape: Shape }) {
  return (
    <svg class={`mark mark-${shape}`} viewBox="0 0 16 16" width="14" height="14" aria-hidden="true">
      {PATHS[shape]}
    </svg>
  );
}

const line = { fill: "none", stroke: "currentColor", "stroke-width": 2, "stroke-linecap": "round" } as const;
const PATHS = {
  dot: <circle cx="8" cy="8" r="5" fill="currentColor" />,
  ring: <circle cx="8" cy="8" r="5" {...line} />,
  tick: <path d="M3 8.5l3.5 3.5L13 4.5" {...line} />,
  cross: <path d="M4 4l8 8M12 4l-8 8" {...line} />,
  square: <rect x="3.5" y="3.5" width="9" height="9" rx="1.5" fill="currentColor" />,
  diamond: <path d="M8 1.5L14.5 8 8 14.5 1.5 8z" fill="currentColor" />,
  bars: <path d="M5.5 3.5v9M10.5 3.5v9" {...line} />,
  dash: <path d="M3.5 8h9" {...line} />,
  stop: <path d="M5.5 2h5L14 5.5v5L10.5 14h-5L2 10.5v-5z" fill="currentColor" />,
  clock: (
    <>
      <circle cx="8" cy="8" r="5.5" {...line} />
      <path d="M8 5v3.2l2 1.3" {...line} stroke-width="1.5" />
    </>
  ),
};
