/** A message as far as its calls are counted. */
export interface Message {
  id?: string | number;
  method?: string;
  params?: { requestId?: string | number };
}

/** Requests of these methods make the server send requests of its own, so they are limited. */
export const COSTLY: readonly string[] = [
  "tools/call",
  "resources/list",
  "resources/read",
  "prompts/get",
  "completion/complete",
];

/** The calls of one session that are going on. */
export interface Calls {
  count(): number;
  begin(id: string | number): void;
  /** The call of that id was answered, or never will be. */
  end(id: string | number): void;
  /** The client does not want the answer of that id any more. */
  cancel(id: string | number | undefined): void;
}

/**
 * Counts calls by their ids; a client may use an id twice. A cancellation ends the last call of its id, and only once;
 * ids that the protocol's SDK does not accept end nothing.
 */
export function createCalls(): Calls {
  const open = new Map<string | number, { going: number; isCancelled: boolean }>();
  let count = 0;
  function end(id: string | number): void {
    const call = open.get(id);
    if (!call) return;
    count--;
    if (--call.going === 0) open.delete(id);
  }
  return {
    count: () => count,
    begin(id) {
      const call = open.get(id) ?? { going: 0, isCancelled: false };
      call.going++;
      call.isCancelled = false;
      open.set(id, call);
      count++;
    },
    end,
    cancel(id) {
      const call = id ? open.get(id) : undefined;
      if (!id || !call || call.isCancelled) return;
      call.isCancelled = true;
      end(id);
    },
  };
}
