/** One line may hold a whole file that the agent has read; what is longer is no message of the agent any more. */
const LINE_LIMIT_BYTES = 64 * 1024 * 1024;

const NEWLINE = 0x0a;

/**
 * Puts lines together from chunks that may end anywhere, also within a character. Empty lines are left out.
 * @param options.onLine gets each whole line without its end
 * @param options.onTooLong is told once for each line beyond the limit (bytes); such a line is thrown away
 */
export function createLineReader(options: {
  onLine: (line: string) => void;
  onTooLong: () => void;
  limitBytes?: number;
}): { push(chunk: Buffer): void; end(): void } {
  const limit = options.limitBytes ?? LINE_LIMIT_BYTES;
  let parts: Buffer[] = [];
  let size = 0;
  let skipping = false;

  function add(part: Buffer): void {
    size += part.length;
    if (size > limit && !skipping) {
      skipping = true;
      parts = [];
      options.onTooLong();
    }
    if (!skipping) parts.push(part);
  }

  function finish(): void {
    const line = skipping ? "" : Buffer.concat(parts).toString("utf8").trim();
    parts = [];
    size = 0;
    skipping = false;
    if (line) options.onLine(line);
  }

  return {
    push(chunk) {
      let start = 0;
      for (;;) {
        const end = chunk.indexOf(NEWLINE, start);
        if (end < 0) break;
        add(chunk.subarray(start, end));
        finish();
        start = end + 1;
      }
      if (start < chunk.length) add(chunk.subarray(start));
    },
    end: finish,
  };
}
