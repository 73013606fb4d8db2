/** Something that goes wrong between a client and the server. */
export interface Fault {
  /**
   * Real milliseconds before the answer. The server has acted when the wait begins, as a slow server may have: a
   * client that gives up and repeats itself does the thing twice.
   */
  delayMs?: number;
  status?: number;
  /** An object is sent as JSON, text as it is. */
  body?: string | object;
  headers?: Record<string, string>;
  /** No answer ever. */
  hang?: true;
  /** The connection is reset before or after the server has acted. */
  drop?: "before" | "after";
  /** With `status`, `body` or `hang`: the server has acted all the same. Default false. */
  act?: boolean;
}

/** Text matches whole: `*` stands for one segment, and so does what follows a slash at the end. */
export type PathMatch = RegExp | string;

export interface FaultMatch {
  method?: string;
  path?: PathMatch;
}

/** True when a path below the base is meant. `/run/` means starts only, not `/run/x/status`. */
export function matchesPath(path: string, match: PathMatch | undefined): boolean {
  if (match === undefined) return true;
  if (typeof match !== "string") return new RegExp(match.source, match.flags.replace(/[gy]/g, "")).test(path);
  const wanted = (match.endsWith("/") ? `${match}*` : match).split("/");
  const parts = path.split("/");
  return (
    wanted.length === parts.length && wanted.every((part, index) => part === "*" || part === parts[index])
  );
}

/** Keeps the faults that lie ahead; of several that fit, the one laid last strikes. */
export function createFaults() {
  const laid: { match: FaultMatch; fault: Fault; left: number }[] = [];
  return {
    /** Lays a fault for so many requests; gives what takes it away again. */
    add(match: FaultMatch, fault: Fault, times = Number.POSITIVE_INFINITY): () => void {
      const item = { match, fault, left: times };
      laid.unshift(item);
      return () => {
        item.left = 0;
      };
    },
    /** The fault that strikes this request, used up by one. */
    take(method: string, path: string): Fault | undefined {
      const item = laid.find(
        ({ match, left }) =>
          left > 0 &&
          (match.method === undefined || match.method.toUpperCase() === method) &&
          matchesPath(path, match.path),
      );
      if (item === undefined) return undefined;
      item.left -= 1;
      return item.fault;
    },
  };
}
